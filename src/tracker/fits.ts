import type { LayersModel } from '@tensorflow/tfjs-layers';

/*
 * Which fit a callback is in, and which number its epochs have. TensorFlow.js tells a callback of every fit it is given to,
 * but not which one it speaks of, nor that a fit has thrown.
 */

/** What a model says of its fits; TensorFlow.js declares a part of it as protected. */
interface FittedModel {
  readonly name: string;
  readonly isTraining?: boolean;
  /** Identifies the fit: every fit makes a new history before it begins. */
  readonly history?: object;
}

/** A fit, as a callback sees it. */
interface FollowedFit {
  /** Undefined if TensorFlow.js did not give it. */
  model: FittedModel | undefined;
  history: object | undefined;
  /** What is added to the fit's own epochs; undefined until the first one begins. */
  shift: number | undefined;
  isInEpoch: boolean;
  /** The logs of the epoch that ended last: every callback of a fit gets the same object. */
  lastLogs: object | undefined;
}

/**
 * Where the fits of one callback stand. Epochs count through all of them: a fit that begins at epoch 0 goes on after the
 * epochs before it; one that begins later (`initialEpoch`) is taken at its word.
 */
export class FollowedFits {
  readonly #warn: (message: string) => void;
  #fit: FollowedFit | undefined;
  /** Fits that began while another one was running. They are not followed. */
  #others: Pick<FollowedFit, 'model' | 'history'>[] = [];

  /** @param warn receives what a user should change, in a sentence */
  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** Whether an epoch has begun and not ended: also one whose fit has thrown. */
  get isInEpoch(): boolean {
    return this.#fit?.isInEpoch === true;
  }

  /** Whether what TensorFlow.js calls now belongs to the fit that is followed. */
  get isFollowing(): boolean {
    this.#others = this.#others.filter(isRunning);
    return this.#others.length === 0;
  }

  /** Begins a fit. Returns false if that is not to be followed: it was begun already, or another one is running. */
  begin(fitted: LayersModel | undefined): boolean {
    const model = fitted as FittedModel | undefined;
    const running = this.#fit;
    const isRepeat = running?.model === undefined && model === undefined && running?.shift === undefined;
    if (running !== undefined && (isRepeat || isRunning(running))) {
      if (model === undefined || model === running.model) return false;
      this.#others = [...this.#others.filter(isRunning), { model, history: model.history }];
      this.#warn(
        `model.fit: expected one fit at a time, got one of '${model.name}' within that of '${running.model?.name}': only the first one is followed. Give each model a callback of its own`,
      );
      return false;
    }
    this.#others = [];
    this.#fit = { model, history: model?.history, shift: undefined, isInEpoch: false, lastLogs: undefined };
    return true;
  }

  /** Begins an epoch. Its arguments and what it returns are as for endEpoch. */
  beginEpoch(epoch: number, next: number): number | undefined {
    if (!this.isFollowing) return undefined;
    const fit = (this.#fit ??= newFit());
    fit.shift ??= shiftOf(epoch, next);
    fit.isInEpoch = true;
    return epoch + fit.shift;
  }

  /**
   * Ends an epoch.
   *
   * @param epoch the number that the fit gives it
   * @param next the number of epochs that were written before
   * @returns the number of the epoch in the training; undefined if it has ended already or belongs to another fit
   */
  endEpoch(epoch: number, logs: object | undefined, next: number): number | undefined {
    if (!this.isFollowing) return undefined;
    const fit = (this.#fit ??= newFit());
    if (logs !== undefined && logs === fit.lastLogs) return undefined;
    fit.shift ??= shiftOf(epoch, next);
    fit.isInEpoch = false;
    fit.lastLogs = logs;
    return epoch + fit.shift;
  }

  /** Ends a fit. Returns false if it has ended already or was not followed. */
  end(): boolean {
    if (!this.isFollowing) {
      this.#others.pop();
      return false;
    }
    const isEnding = this.#fit !== undefined;
    this.#fit = undefined;
    return isEnding;
  }
}

function newFit(): FollowedFit {
  return { model: undefined, history: undefined, shift: undefined, isInEpoch: false, lastLogs: undefined };
}

function shiftOf(epoch: number, next: number): number {
  return epoch === 0 ? next : 0;
}

/** A fit that threw never says that it ended, but its model does. */
function isRunning({ model, history }: Pick<FollowedFit, 'model' | 'history'>): boolean {
  return model?.isTraining === true && model.history === history;
}
