/** What a person drops or chooses, as files with the names they have inside of it. */
import type { Laid } from './pages';

/** Files of a drop, folders opened up; names are paths inside what was dropped. Hidden files are left out. */
export async function laidFromDrop(transfer: DataTransfer): Promise<Laid[]> {
  // All at once: the list is empty after the first wait. What another program drags may be a file without an entry.
  const dropped = [...transfer.items].map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const laid: Laid[] = [];
  for (const one of dropped) {
    if (one instanceof File) laid.push(...laidFromList([one]));
    else if (one) await tryWalk(one, laid);
  }
  return laid;
}

export function laidFromList(files: Iterable<File>): Laid[] {
  return [...files]
    .map((file) => ({ name: file.webkitRelativePath || file.name, file }))
    .filter(({ name }) => !isHidden(name));
}

/** One file or folder that cannot be read takes none of the others with it. */
async function tryWalk(entry: FileSystemEntry, laid: Laid[]): Promise<void> {
  try {
    await walk(entry, laid);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    laid.push({ name: nameOf(entry), file: new Blob([]), error: { code: 'file-unreadable', message: `The browser could not read it (${why}). It may have been moved; lay it down again.` } });
  }
}

function nameOf(entry: FileSystemEntry): string {
  return entry.fullPath.replace(/^\//, '');
}

async function walk(entry: FileSystemEntry, laid: Laid[]): Promise<void> {
  const name = nameOf(entry);
  if (isHidden(name)) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => { (entry as FileSystemFileEntry).file(resolve, reject); });
    laid.push({ name, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (batch.length === 0) return;
    for (const child of batch.sort((a, b) => a.name.localeCompare(b.name))) await tryWalk(child, laid);
  }
}

function isHidden(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.') || part === 'node_modules');
}
