import type { CommandOutput } from '../command-output.ts';
export interface DemoOptions { readonly json?: boolean; readonly keep?: boolean }
export async function demo(_options: DemoOptions, _output: CommandOutput): Promise<void> {}
