import { expect, it } from 'vitest';
import { numbered } from './names';

it('tells two of one name apart', () => {
  expect(numbered('Village', [])).toBe('Village');
  expect(numbered('Village', ['My pages', 'Village'])).toBe('Village 2');
  expect(numbered('Village', ['Village', 'Village 2'])).toBe('Village 3');
  expect(numbered('Pasted text', ['Pasted text.md'], '.md')).toBe('Pasted text 2.md');
});
