// The rooms of the house, top to bottom (see ARCHITECTURE.md): a file imports from its own room and from rooms below it.
const rooms = {
  doors: '^src/(index|tfjs|tfjs-node-fix|object-stores|onnx|proto|reports|scale|view|cli)\\.ts$',
  cli: '^src/cli/',
  scale: '^src/scale/',
  onnx: '^src/onnx/',
  tracker: '^src/tracker/',
  pca: '^src/pca/',
  probes: '^src/probes/',
  activations: '^src/activations/',
  recording: '^src/recording/',
  reports: '^src/reports/',
  dashboard: '^src/dashboard/',
  view: '^src/view/',
  insight: '^src/insight/',
  stores: '^src/stores/',
  saturation: '^src/saturation/',
  writer: '^src/writer/',
  reader: '^src/reader/',
  summaries: '^src/summaries/',
  output: '^src/output/',
  event: '^src/event/',
  drawing: '^src/drawing/',
  models: '^src/models/',
  proto: '^src/proto/',
  encoding: '^src/encoding/',
  statistics: '^src/statistics/',
  kernels: '^src/kernels/',
  platform: '^src/platform/',
  errors: '^src/errors\\.ts$',
};

const names = Object.keys(rooms);
const upward = names.slice(1).map((name, i) => ({
  name: `upward-from-${name}`,
  severity: 'error',
  from: { path: rooms[name] },
  to: { path: names.slice(0, i + 1).map((above) => rooms[above]) },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-circles-of-folders',
      severity: 'error',
      scope: 'folder',
      from: {},
      to: { circular: true },
    },
    ...upward,
    {
      name: 'every-file-in-one-room',
      comment: 'A file that matches no room is one that no rule above looks at.',
      severity: 'error',
      from: { path: '^src/', pathNot: Object.values(rooms) },
      to: {},
    },
    {
      name: 'no-import-from-outside-the-rooms',
      comment: 'The rule above looks at files that import something; this one finds those that are only imported.',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: Object.values(rooms) },
    },
    {
      name: 'statistics-stand-alone',
      comment:
        'Statistics are pure numbers: besides their own files they import kernels, the platform, the words of errors and libraries.',
      severity: 'error',
      from: { path: '^src/statistics/' },
      to: { path: '^src/(?!statistics/|kernels/|platform/|errors\\.ts$)' },
    },
    {
      name: 'node-only-in-platform',
      comment: 'What differs between Node and browsers sits behind #platform; the command line is a door to Node only.',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/platform/', '^src/cli\\.ts$'] },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'tensorflow-only-behind-tfjs',
      comment: "The door '.' must work, and type-check, where TensorFlow.js is not installed.",
      severity: 'error',
      from: { path: '^src/(index|object-stores|onnx|proto|reports|scale|cli)\\.ts$' },
      to: { path: '@tensorflow/', reachable: true },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '\\.as\\.ts$|\\.d\\.ts$' },
      to: {},
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '\\.as\\.ts$' },
    enhancedResolveOptions: { conditionNames: ['import', 'node', 'default'], exportsFields: ['exports'] },
  },
};

// scripts/architecture.mjs draws the same rooms; the checker refuses fields it doesn't know, so it must not see this one.
Object.defineProperty(module.exports, 'rooms', { value: rooms });
