import { percentile } from "./harness.js";

const timerMs = 5;

/** By how many milliseconds a timer was late while `work` ran, at the 99.9th percentile. */
export async function delayDuring(work: () => Promise<unknown>): Promise<number> {
  const delays: number[] = [];
  let due = performance.now() + timerMs;
  let timer = setTimeout(tick, timerMs);
  function tick(): void {
    const now = performance.now();
    delays.push(Math.max(0, now - due));
    due = now + timerMs;
    timer = setTimeout(tick, timerMs);
  }
  await work();
  clearTimeout(timer);
  return percentile(delays, 99.9);
}
