/** Long work on the thread that answers requests lets others through now and then. */
const LONGEST_MS = 40;
let since = performance.now();

/** Resolves at once, or after a turn of the event loop when this thread has been kept busy for a while. */
export async function breathe(): Promise<void> {
  if (performance.now() - since < LONGEST_MS) return;
  await new Promise((resolve) => { setImmediate(resolve); });
  since = performance.now();
}
