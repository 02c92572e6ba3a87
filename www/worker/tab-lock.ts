const LOCK = 'lectern-engine';

/**
 * Holds a lock for as long as this worker lives. Calls `onSecond` when another tab of this site
 * already holds it: both work, but they share one machine.
 */
export async function holdTabLock(locks: LockManager | undefined, onSecond: () => void): Promise<void> {
  if (!locks) return;
  const forever = () => new Promise<never>(() => undefined);
  const free = await new Promise<boolean>((resolve) => {
    void locks.request(LOCK, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock ? forever() : undefined;
    });
  });
  if (free) return;
  onSecond();
  void locks.request(LOCK, forever);
}
