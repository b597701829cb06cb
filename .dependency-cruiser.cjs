// The order of the rooms (see DEVELOPING.md): a file imports from its own room and from those below it, never upward.
const rooms = [
  { name: 'doors', path: '^src/(index|tfjs|reports|cli)\\.ts$|^src/cli/' },
  {
    name: 'tracking',
    path: '^src/(saturation-tracker|tracker-[^/]*|extract-saturation|tensorboard-callback|training-logs|pca-layers|pca/[^/]*)(\\.ts)?$',
  },
  {
    name: 'saturation',
    path: '^src/(saturation-writer|saturation-summaries)\\.ts$|^src/(hooks|stores|reports|insight)/',
  },
  {
    name: 'writing and reading',
    path: '^src/(summary-writer|event-writer|event-reader|event-decoder|event-source|run-files|summary-file-writer|summary-writer-options|tag-table|default-logdir|hparams-session|projector-config)[^/]*\\.ts$',
  },
  { name: 'summaries', path: '^src/summaries/' },
  { name: 'events', path: '^src/events/' },
  { name: 'encoding', path: '^src/encoding/|^src/[a-z-]+-error\\.ts$' },
  { name: 'proto', path: '^src/proto/' },
  { name: 'statistics', path: '^src/statistics/' },
  { name: 'kernels', path: '^src/kernels/' },
  { name: 'platform', path: '^src/platform/' },
];

const upward = rooms.slice(1).map((room, i) => ({
  name: `upward-from-${room.name.replaceAll(' ', '-')}`,
  severity: 'error',
  from: { path: room.path },
  to: { path: rooms.slice(0, i + 1).map(({ path }) => path) },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    ...upward,
    {
      name: 'statistics-stand-alone',
      comment: 'Statistics are pure numbers: beside themselves they import kernels, the platform and libraries.',
      severity: 'error',
      from: { path: '^src/statistics/' },
      to: { path: '^src/(?!statistics/|kernels/|platform/)' },
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
      from: { path: '^src/(index|reports|cli)\\.ts$' },
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
