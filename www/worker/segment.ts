import { loadPackage } from './load-package';
import { serveSegments } from './serve-segments';

serveSegments(loadPackage);
