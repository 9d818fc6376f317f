import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { measureOnce } from '../../src/cli/baseline/measure-once.ts';
import { writeBaseline } from '../../src/cli/baseline/baseline-file.ts';
import type { Assurance, Dimension, Measurement } from '../../src/domain/measurement.ts';
import { resolveMeasureConfig } from '../../src/sidecar/measure/measure-config.ts';
import { measureSection } from '../../src/sidecar/measure/measure-schema.ts';

/** What is measured of a test's agent, one file (or folder) a dimension. */
export class AgentFiles {
  readonly folder: string;
  readonly prompt: string;
  readonly manifest: string;
  readonly model: string;
  readonly tools: string;

  constructor(folder: string) {
    this.folder = folder;
    this.prompt = join(folder, 'prompt.md');
    this.manifest = join(folder, 'knowledge/manifest.json');
    this.model = join(folder, 'model.json');
    this.tools = join(folder, 'tools.json');
  }

  /** The section `measure` of a configuration beside these files. */
  get section() {
    return {
      system_prompt: { main: this.prompt },
      knowledge_base: { manifest: this.manifest },
      model: { file: this.model },
      tools: { manifest: this.tools },
    };
  }

  /** @param name makes the digests of two agents different. */
  async create(name: string): Promise<void> {
    await mkdir(join(this.folder, 'knowledge'), { recursive: true });
    await Promise.all([
      this.writePrompt(`You are ${name}. Be brief.\n`),
      this.writeKnowledge(`What ${name} knows.\n`),
      this.writeModel('1'),
      this.writeTools('search'),
    ]);
  }

  /** In place, as an editor does that does not rename. */
  async writePrompt(text: string): Promise<void> {
    await writeFile(this.prompt, text);
  }

  async writeKnowledge(text: string): Promise<void> {
    const sha256 = createHash('sha256').update(text).digest('hex');
    await writeFile(join(this.folder, 'knowledge/notes.md'), text);
    await writeFile(
      this.manifest,
      JSON.stringify({ version: '1', entries: [{ name: 'notes', path: 'notes.md', sha256 }] }),
    );
  }

  async writeModel(version: string): Promise<void> {
    await writeFile(this.model, JSON.stringify({ provider: 'example', id: 'large', version }));
  }

  async writeTools(name: string): Promise<void> {
    await writeFile(
      this.tools,
      JSON.stringify([{ type: 'function', function: { name, parameters: { type: 'object' } } }]),
    );
  }

  /** As a sidecar would, but without one. */
  async measure(): Promise<Measurement> {
    const section = v.parse(measureSection, this.section);
    return (await measureOnce(resolveMeasureConfig(section, this.folder))).measurement;
  }
}

export interface BaselineInput {
  readonly agent: string;
  readonly id: string;
  readonly measurement: Measurement;
  /** Default: an hour ago. Orders baselines by age. */
  readonly approvedAt?: string;
  /** Default: any will do. */
  readonly minimumAssurance?: Partial<Readonly<Record<Dimension, Assurance>>>;
}

/** The YAML by which a measurement is approved. */
export function baselineYaml({ agent, id, measurement, approvedAt, minimumAssurance = {} }: BaselineInput): string {
  return writeBaseline({
    agent,
    id,
    approvedBy: 'a test',
    approvedAt: approvedAt ?? '2026-01-31T12:00:00Z',
    minimumAssurance,
    digests: measurement,
  }).text;
}
