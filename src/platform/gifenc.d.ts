// gifenc 1.0.3 comes without types; these are of the parts used here.
declare module 'gifenc' {
  type Codec = import('./platform.js').GifCodec;
  export const GIFEncoder: Codec['GIFEncoder'];
  export const quantize: Codec['quantize'];
  export const applyPalette: Codec['applyPalette'];
  // Node loads the CommonJS build, whose names are all on the default export; the ES module has it, too, with other names.
  const gifenc: Codec;
  export default gifenc;
}
