import { AIT_JSON_1, type Digest } from '../../domain/canonical/digest.ts';
import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { anyObjectAt, objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import { MAX_TOOLS } from '../../domain/measurement-json.ts';
import { assurancePass, type DimensionReader } from './dimension-reader.ts';
import { digestOfJson, readJsonFile, readShape } from './json-manifest.ts';
import type { MeasureConfig } from './measure-config.ts';
import { ASCII_NAME } from './measure-schema.ts';
import { MeasurementProblem } from './measurement-problem.ts';

/**
 * The tool manifest: an array of definitions, or `{tools: […]}` and nothing else, as an OpenAI request or the answer to
 * MCP's `tools/list` has it. The digest of a tool is `ait-json-1` of its whole definition. Reads synchronously.
 */
export function createToolsReader({ manifest }: { manifest: string }, config: MeasureConfig): DimensionReader<'tools'> {
  return {
    dimension: 'tools',
    paths: () => [manifest],
    read() {
      const json = readJsonFile(manifest, config.maxManifestBytes);
      const definitions = readShape(manifest, () => definitionsIn(json));
      if (definitions.length === 0) {
        throw new MeasurementProblem('empty', `${manifest}: no tools (say not_applicable if the agent has none)`);
      }
      const tools = Object.create(null) as Record<string, Digest>;
      const byDigest = new Map<Digest, JsonObject>();
      for (const [index, definition] of definitions.entries()) {
        const name = readShape(manifest, () => toolName(definition, `tools[${index}]`));
        if (Object.hasOwn(tools, name)) {
          throw new MeasurementProblem('malformed', `${manifest}: two tools are named ${JSON.stringify(name)}`);
        }
        const digest = digestOfJson(manifest, definition);
        tools[name] = digest;
        byDigest.set(digest, definition as JsonObject);
      }
      const assurance = assurancePass(config, 'tools')(manifest);
      return { value: { canonicalization: AIT_JSON_1, tools, assurance }, definitions: byDigest };
    },
  };
}

/** A list that is one page of several is refused: the rest would go unmeasured. */
function definitionsIn(json: JsonValue): readonly JsonValue[] {
  const list = Array.isArray(json) ? json : objectAt(json, 'manifest', { required: ['tools'] })['tools'];
  if (!Array.isArray(list)) throw new ShapeError('tools', 'not an array');
  if (list.length > MAX_TOOLS) throw new ShapeError('tools', `more than ${MAX_TOOLS}`);
  return list as readonly JsonValue[];
}

/** `name` (MCP) or `function.name` (OpenAI). One that states both must agree with itself. */
function toolName(definition: JsonValue, path: string): string {
  const tool = anyObjectAt(definition, path);
  const own = nameIn(tool, path);
  const inner =
    tool['function'] === undefined
      ? undefined
      : nameIn(anyObjectAt(tool['function'], `${path}.function`), `${path}.function`);
  if (own !== undefined && inner !== undefined && own !== inner) throw new ShapeError(path, 'it states two names');
  const name = own ?? inner;
  if (name === undefined) throw new ShapeError(path, 'neither name nor function.name is there');
  return name;
}

function nameIn(object: JsonObject, path: string): string | undefined {
  const name = object['name'];
  if (name === undefined) return undefined;
  return stringAt(name, `${path}.name`, ASCII_NAME, '1 to 128 characters of printable ASCII');
}
