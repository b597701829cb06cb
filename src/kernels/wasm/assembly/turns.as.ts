// Rows of blocks that two threads take in turns, in memory that they share: band-reduction.as.ts says of which work. A row
// follows the one before it at a distance of one block at least, so that sums to which both add get their parts in the order
// in which one thread adds them: the results have the same bits, whichever thread does which row.

/**
 * Where the threads meet: a word by which the host sends the second one away, one that says that it came, then a line of the
 * cache for the next row, and one per row for how far that is.
 */
let meeting: usize = 0;
const CAME: usize = 4;
const NEXT: usize = 64;
const DONE: usize = 128;
/** A pass and its row are one number, so that no row is taken of a pass that is over, and nothing is cleared between passes. */
const ROW_BITS: i32 = 16;
/** How often a thread looks before it sleeps: about as long as a block takes. */
const LOOKS: i32 = 4000;
/** How long it sleeps before it looks again, in nanoseconds; then twice as long, up to 1.6 ms. */
const SLEEP: i64 = 50000;
const DOUBLINGS: i32 = 5;

/** Says where the threads meet: zeros, before a thread comes. */
export function meetAt(at: usize): void {
  meeting = at;
}

/** Joins a thread that has said where, or will. */
export function join(at: usize): void {
  meetAt(at);
  atomic.store<i32>(meeting + CAME, 1);
}

/** Begins a pass, from 1 up; the one before it is done. */
export function beginPass(pass: i32): void {
  atomic.store<i32>(meeting + NEXT, pass << ROW_BITS);
  atomic.notify(meeting + NEXT, 1);
}

/** Sends the other thread away. */
export function endPasses(): void {
  atomic.store<i32>(meeting + NEXT, -1);
  atomic.notify(meeting + NEXT, 1);
}

/** Waits for another pass than `seen`. Returns its number, or 0 if there is none, or the host wants this thread elsewhere. */
export function awaitPass(seen: i32): i32 {
  let looks = 0;
  while (true) {
    const next = atomic.load<i32>(meeting + NEXT);
    if (next < 0 || atomic.load<i32>(meeting) != 0) return 0;
    if (next >> ROW_BITS != seen) return next >> ROW_BITS;
    if (++looks > LOOKS) atomic.wait<i32>(meeting + NEXT, next, 100 * SLEEP);
  }
}

/** Takes the next of the `rows` rows of a pass; -1 if all are taken. */
export function takeRow(pass: i32, rows: i32): i32 {
  while (true) {
    const next = atomic.load<i32>(meeting + NEXT);
    const row = next - (pass << ROW_BITS);
    if (<u32>row >= <u32>rows) return -1;
    if (atomic.cmpxchg<i32>(meeting + NEXT, next, next + 1) == next) return row;
  }
}

/** Says that so many blocks of a row are done. */
export function setDone(pass: i32, row: i32, blocks: i32): void {
  atomic.store<i32>(meeting + DONE + (<usize>row << 6), (pass << ROW_BITS) + blocks);
}

/** Waits until so many blocks of a row are done, and returns how many are. One thread alone never waits. */
export function awaitDone(pass: i32, row: i32, blocks: i32): i32 {
  const at = meeting + DONE + (<usize>row << 6);
  let looks = 0;
  while (true) {
    const value = atomic.load<i32>(at);
    const done = value - (pass << ROW_BITS);
    if (done >= blocks) return done;
    if (++looks > LOOKS) atomic.wait<i32>(at, value, SLEEP << min<i32>(looks - LOOKS - 1, DOUBLINGS));
  }
}
