import type { Clock } from '../../platform/clock.ts';
import type { Colors } from '../explain/explanation.ts';
import type { Sentence, Tone } from './narrator.ts';

export interface StorytellerOptions {
  readonly print: (line: string) => void;
  readonly colors: Colors;
  readonly clock: Clock;
  /** One JSON object a sentence instead of text. */
  readonly json: boolean;
}

/** How long, in ms, a sentence is not said again while nothing of note happens. */
const SAME_AGAIN_MS = 60_000;
/** The same for what a refused agent tries again and again. */
const QUIET_AGAIN_MS = 10_000;

interface Said {
  at: number;
  /** How often it was kept to ourselves since. */
  held: number;
}

/** Says each sentence once: repeats are counted and mentioned later. A cut or a return makes everything new again. */
export class Storyteller {
  readonly #options: StorytellerOptions;
  readonly #said = new Map<string, Said>();

  constructor(options: StorytellerOptions) {
    this.#options = options;
  }

  say(sentence: Sentence): void {
    const { clock, json, print } = this.#options;
    const now = clock.monotonic();
    const before = this.#said.get(sentence.key);
    const patience = sentence.tone === 'agent' ? SAME_AGAIN_MS : QUIET_AGAIN_MS;
    if (before !== undefined && now - before.at < patience) {
      before.held += 1;
      return;
    }
    if (sentence.routine !== true && (sentence.tone === 'bad' || sentence.tone === 'good')) this.#said.clear();
    this.#said.set(sentence.key, { at: now, held: 0 });
    const again = before?.held ?? 0;
    const at = new Date(clock.now());
    if (json) {
      const { tone, text } = sentence;
      print(JSON.stringify({ at: at.toISOString(), tone, text, ...(again > 0 && { heldBack: again }) }));
    } else print(this.#line(sentence, again, at));
  }

  #line({ tone, text }: Sentence, again: number, at: Date): string {
    const { colors } = this.#options;
    const time = colors.dim(at.toTimeString().slice(0, 8));
    const repeats = again > 0 ? colors.dim(` (${again} more like it since)`) : '';
    return `${time} ${MARKS[tone]} ${paint(tone, text, colors)}${repeats}`;
  }
}

const MARKS = { good: '✓', bad: '✗', note: '·', agent: ' ', quiet: '·' } as const satisfies Record<Tone, string>;

function paint(tone: Tone, text: string, colors: Colors): string {
  switch (tone) {
    case 'good':
      return colors.green(text);
    case 'bad':
      return colors.bold(colors.red(text));
    case 'note':
      return colors.yellow(text);
    case 'agent':
    case 'quiet':
      return colors.dim(text);
  }
}
