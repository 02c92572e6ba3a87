/** The browser tests use the packages that www/ has installed. */
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../../www/package.json', import.meta.url));
export const { chromium } = require('playwright-core');
export const axePath = require.resolve('axe-core/axe.min.js');
