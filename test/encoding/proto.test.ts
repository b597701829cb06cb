import { readdirSync, readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';

type FieldReference = [number: number, type: string, isRepeated: boolean];
/** TensorBoard's own descriptors, by full name: written by test/fixtures/summaries/generate.py. */
const descriptors: Record<string, Record<string, FieldReference | number>> = JSON.parse(
  readFileSync('test/fixtures/summaries/descriptors.json', 'utf8'),
);

/** Ours stand in one package, so messages of the same name had to be renamed; the wire does not know names. */
const renamed: Record<string, string> = {
  HparamValue: 'google.protobuf.Value',
  HparamListValue: 'google.protobuf.ListValue',
  HparamInterval: 'tensorboard.hparams.Interval',
  HparamInfo: 'tensorboard.hparams.HParamInfo',
  HparamsExperiment: 'tensorboard.hparams.Experiment',
  HparamDataType: 'tensorboard.hparams.DataType',
  HparamsStatus: 'tensorboard.hparams.Status',
  'MetricInfo.DatasetType': 'tensorboard.hparams.DatasetType',
  ChartCategory: 'tensorboard.Category',
};

const packages = ['tensorboard', 'tensorboard.hparams', 'tensorboard.mesh'];

function referenceOf(path: string) {
  const name = path.replace(/^\.tensorboard\./, '');
  const names = [renamed[name], ...packages.map((prefix) => `${prefix}.${name}`)];
  return descriptors[names.find((each) => each !== undefined && each in descriptors) ?? name];
}

const root = new protobuf.Root();
for (const file of readdirSync('proto'))
  protobuf.parse(readFileSync(`proto/${file}`, 'utf8'), root, { keepCase: true });
root.resolveAll();

const messages: protobuf.Type[] = [];
const enums: protobuf.Enum[] = [];
(function walk(namespace: protobuf.NamespaceBase) {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) messages.push(nested);
    if (nested instanceof protobuf.Enum) enums.push(nested);
    if (nested instanceof protobuf.Namespace) walk(nested);
  }
})(root);

function kindOf(field: protobuf.Field): string {
  if (field.resolvedType instanceof protobuf.Enum) return 'enum';
  return field.map || field.resolvedType ? 'message' : field.type;
}

describe('the trimmed protos', () => {
  it('cover the messages of events, summaries, graphs and plugins', () => {
    expect(messages.length).toBeGreaterThan(40);
    expect(enums.length).toBeGreaterThan(8);
  });

  it.each(messages.map((message) => [message.fullName.slice('.tensorboard.'.length), message] as const))(
    "give %s TensorBoard's field numbers and types",
    (_, message) => {
      const reference = referenceOf(message.fullName);
      for (const field of message.fieldsArray) {
        // NullValue has the single value 0 and is an int32 here.
        const type = field.name === 'null_value' ? 'enum' : kindOf(field);
        expect([field.name, field.id, type, field.repeated || field.map]).toEqual([
          field.name,
          ...(reference[field.name] as FieldReference),
        ]);
      }
    },
  );

  it.each(enums.map((each) => [each.fullName.slice('.tensorboard.'.length), each] as const))(
    "give %s TensorBoard's values",
    (_, each) => {
      expect(referenceOf(each.fullName)).toMatchObject(each.values);
    },
  );
});
