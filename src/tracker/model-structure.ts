import { warn } from '#platform';
import { type GraphModelNodes, graphNodes, isGraphModelNodes } from '../activations/graph-model.js';
import { messageOf } from '../errors.js';
import { isModelLike, type ModelLike, modelFacts } from '../insight/layer-graph.js';
import { layerRoles } from '../insight/layer-roles.js';
import { receptiveFields } from '../insight/receptive-fields.js';
import type { ModelStructure, Structure } from '../recording/save-targets.js';
import type { LayerRole } from '../saturation/epoch.js';

/**
 * Reads the structure of what is tracked: a built model of layers, or the nodes of a GraphModel. A model that cannot be read is
 * no failure of its training: a warning says so, and what rests on its structure is left out.
 *
 * @param model what is tracked
 * @param report receives errors, with what failed in words
 */
export function structureOf(model: unknown, report: (error: unknown, where: string) => void): ModelStructure {
  if (isGraphModelNodes(model)) {
    let roles: ReadonlyMap<string, LayerRole> | undefined;
    return { read: () => undefined, roles: () => (roles ??= rolesOfNodes(model, report)) };
  }
  let structure: (Structure & { roles: ReadonlyMap<string, LayerRole> }) | 'unreadable' | undefined;
  const read = () => {
    if (!isModelLike(model) || !Array.isArray(model.outputs) || model.outputs.length === 0) return undefined;
    structure ??= readModel(model);
    return structure === 'unreadable' ? undefined : structure;
  };
  return { read, roles: () => read()?.roles };
}

function readModel(model: ModelLike): (Structure & { roles: ReadonlyMap<string, LayerRole> }) | 'unreadable' {
  try {
    return { model, roles: layerRoles(model), fields: receptiveFields(model), facts: modelFacts(model) };
  } catch (error) {
    warn(`SaturationTracker: advice and receptive fields lack the model's structure: ${messageOf(error)}`);
    return 'unreadable';
  }
}

function rolesOfNodes(
  { model }: GraphModelNodes,
  report: (error: unknown, where: string) => void,
): ReadonlyMap<string, LayerRole> {
  const roles = new Map<string, LayerRole>();
  try {
    for (const { name, role } of graphNodes(model)) if (role !== undefined) roles.set(name, role);
  } catch (error) {
    report(error, 'roles of nodes');
  }
  return roles;
}
