import { execFileSync } from "node:child_process";
import { onTestFinished } from "vitest";
import { freshDirectory } from "./databases.js";

/** A folder that is a disk of its own, in memory: writing there fails with ENOSPC when it is full. */
export interface SmallDisk {
  readonly folder: string;
  /** Makes room. */
  grow(kilobytes: number): void;
}

/** Whether this user may mount a disk here, which takes root on Linux. */
export const canMount = mayMount();

/** Gone when the test ends. */
export function smallDisk(kilobytes: number): SmallDisk {
  const folder = freshDirectory();
  mount(folder, `size=${kilobytes}k,mode=777`);
  onTestFinished(() => unmount(folder));
  return { folder, grow: (size) => mount(folder, `remount,size=${size}k`) };
}

function mayMount(): boolean {
  const folder = freshDirectory();
  try {
    mount(folder, "size=16k");
    unmount(folder);
    return true;
  } catch {
    return false;
  }
}

function mount(folder: string, options: string): void {
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder], { stdio: "ignore" });
}

function unmount(folder: string): void {
  execFileSync("umount", ["-l", folder], { stdio: "ignore" });
}
