import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const LANGUAGES: Readonly<Record<string, string>> = {
  '.mjs': 'js',
  '.py': 'python',
  '.sh': 'sh',
  '.txt': 'text',
  '.json': 'json',
  '.md': 'markdown',
  '.go': 'go',
  '.yaml': 'yaml',
};
/** The comment, and the block right below it if there is one already. */
const SHOWN = /^<!-- shows: (\S+) -->\n(?:\n```[^\n]*\n.*?\n```\n)?/gms;

/**
 * The pages of `docs/recipes`, with each block under `<!-- shows: <file> -->` as the file is now. So what a page shows is
 * what a test runs: the tests run those files.
 *
 * @returns text by path from the root.
 * @throws Error where a file is missing, or is of a kind that has no language here.
 */
export function recipePages(): Readonly<Record<string, string>> {
  const folder = join(root, 'docs/recipes');
  const names = readdirSync(folder).filter((name) => name.endsWith('.md'));
  return Object.fromEntries(
    names.map((name) => [`docs/recipes/${name}`, show(readFileSync(join(folder, name), 'utf8'))]),
  );
}

function show(page: string): string {
  return page.replaceAll(SHOWN, (_all, file: string) => {
    const language = LANGUAGES[extname(file)];
    if (language === undefined) throw new Error(`in which language is ${file}?`);
    const text = readFileSync(join(root, file), 'utf8').trimEnd();
    return `<!-- shows: ${file} -->\n\n\`\`\`${language}\n${text}\n\`\`\`\n`;
  });
}
