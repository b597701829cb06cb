import { describe, expect, test } from 'vitest';
import { tailOf } from '../../src/insight/tail.js';

const of = (...values: number[]) => ({ labels: values.map((_, index) => `l${index + 1}`), values });

describe('tailOf, on profiles worked out by hand', () => {
  test('VGG-16 on CIFAR-10 as published: conv9 to conv13 and the dense layer, behind a peak in conv7', () => {
    // Read off the figure in Delve's README (epoch 88, 92.57 %); the last value is the output layer.
    const values = [0.14, 0.4, 0.46, 0.67, 0.63, 0.73, 0.77, 0.42, 0.19, 0.13, 0.05, 0.045, 0.045, 0.02, 0.7];
    const labels = [...Array.from({ length: 13 }, (_, index) => `conv${index + 1}`), 'fc1', 'fc2'];
    const tail = tailOf({ labels, values });
    expect(tail.layers).toEqual(['conv9', 'conv10', 'conv11', 'conv12', 'conv13', 'fc1']);
    expect(tail.peak).toEqual({ layer: 'conv7', saturation: 0.77 });
    expect(tail.limit).toBeCloseTo(0.77 / 3, 12);
    expect(tail.saturation).toBeCloseTo((0.19 + 0.13 + 0.05 + 0.045 + 0.045 + 0.02) / 6, 12);
  });

  test('ResNet-18 at 32 pixels as in the README: .65 to .75, then 0.02', () => {
    expect(tailOf(of(0.65, 0.7, 0.75, 0.7, 0.68, 0.02, 0.02, 0.02, 0.6)).layers).toEqual(['l6', 'l7', 'l8']);
  });

  test('a network whose layers all work has none', () => {
    expect(tailOf(of(0.2, 0.4, 0.5, 0.45, 0.4, 0.35, 0.8)).layers).toEqual([]);
  });

  test('a pyramid that narrows down to half is healthy', () => {
    expect(tailOf(of(0.6, 0.5, 0.4, 0.3, 0.25, 0.9)).layers).toEqual([]);
  });

  test('low layers at the beginning are no tail', () => {
    expect(tailOf(of(0.05, 0.04, 0.5, 0.6, 0.9)).layers).toEqual([]);
  });

  test('a dip in the middle is no tail: only what goes on to the end counts', () => {
    expect(tailOf(of(0.6, 0.05, 0.05, 0.5, 0.1, 0.1, 0.9)).layers).toEqual(['l5', 'l6']);
    expect(tailOf(of(0.6, 0.05, 0.05, 0.5, 0.9)).layers).toEqual([]);
  });

  test('one low layer in front of the output is not called a tail unless asked', () => {
    expect(tailOf(of(0.6, 0.5, 0.05, 0.9)).layers).toEqual([]);
    expect(tailOf(of(0.6, 0.5, 0.05, 0.9), { minLength: 1 }).layers).toEqual(['l3']);
  });

  test('the head is not judged, however many layers it has', () => {
    expect(tailOf(of(0.6, 0.5, 0.1, 0.1), { head: 0 }).layers).toEqual(['l3', 'l4']);
    expect(tailOf(of(0.6, 0.5, 0.1, 0.1, 0.5, 0.9), { head: 2 }).layers).toEqual(['l3', 'l4']);
    expect(tailOf(of(0.6), { head: 3 }).layers).toEqual([]);
  });

  test('the ratio decides how far below the peak a tail is', () => {
    expect(tailOf(of(0.8, 0.3, 0.3, 0.9), { ratio: 0.5 }).layers).toEqual(['l2', 'l3']);
    expect(tailOf(of(0.8, 0.3, 0.3, 0.9), { ratio: 0.25 }).layers).toEqual([]);
  });

  test('dead layers are part of a tail, layers without a value neither of it nor an end to it', () => {
    expect(tailOf(of(0.6, 0.1, Number.NaN, 0, 0.9)).layers).toEqual(['l2', 'l4']);
    expect(tailOf(of(0, 0, 0, 0)).layers).toEqual([]);
  });

  test('takes a map too, and an empty one', () => {
    expect(
      tailOf(
        new Map([
          ['a', 0.9],
          ['b', 0.1],
          ['c', 0.1],
          ['out', 1],
        ]),
      ).layers,
    ).toEqual(['b', 'c']);
    const none = tailOf(new Map());
    expect(none.layers).toEqual([]);
    expect(none.saturation).toBeNaN();
  });

  test('bad options are named', () => {
    expect(() => tailOf(of(1), { ratio: 1 })).toThrow(/ratio in \(0, 1\), got 1/);
    expect(() => tailOf(of(1), { head: -1 })).toThrow(/head.*-1/);
    expect(() => tailOf(of(1), { minLength: 0 })).toThrow(/minLength.*0/);
    expect(() => tailOf({ labels: ['a'], values: [] })).toThrow(/1 labels and 0 values/);
  });
});
