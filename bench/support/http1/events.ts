import { get } from 'node:http';
import { STREAM_PATH } from '../dataplane/backend.ts';
import { nowMs } from '../fleet-protocol.ts';
import { median } from '../statistics.ts';
import { END_OF_EVENTS } from './exchanged.ts';

/** Reads one stream of events to its end. @returns the median time from an event's writing to its arrival, ms */
export function delayOfEvents(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const delays: number[] = [];
    let rest = '';
    get({ host: '127.0.0.1', port, path: STREAM_PATH, agent: false }, (answer) => {
      answer.setEncoding('utf8').on('error', reject);
      answer.on('data', (text: string) => {
        const at = nowMs();
        const events = (rest + text).split('\n\n');
        rest = events.pop() ?? '';
        for (const event of events) {
          if (`${event}\n\n` !== END_OF_EVENTS) delays.push(at - Number(event.slice('data: '.length)));
          else resolve(median(delays));
        }
      });
      answer.on('end', () =>
        reject(new Error(`status ${answer.statusCode}: the events broke off after ${delays.length}`)),
      );
    }).on('error', reject);
  });
}
