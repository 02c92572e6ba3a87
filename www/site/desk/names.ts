/** The name, with a number where it is taken; `end` comes behind that. */
export function numbered(name: string, taken: string[], end = ''): string {
  let made = name + end;
  for (let n = 2; taken.includes(made); n += 1) made = `${name} ${n}${end}`;
  return made;
}
