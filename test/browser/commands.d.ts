import 'vitest/browser';

declare module 'vitest/browser' {
  interface BrowserCommands {
    /** Tag, step and value of every scalar that Node finds in an event file's bytes. */
    scalarsInNode(bytes: number[]): Promise<[string, number, number][]>;
    /** Eigenvalues of the covariance of rows of samples, as Node finds them. */
    eigenvaluesInNode(samples: number[], features: number): Promise<number[]>;
  }
}
