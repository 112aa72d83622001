import { createEventTexts } from '../../local/simulated-stream/events';
import { USUAL_EVENTS } from '../../local/simulated-stream/publisher';
import { type Random, seededRandom } from '../../local/simulated-stream/random';

const ONSETS = [
  'b',
  'br',
  'c',
  'ch',
  'd',
  'f',
  'g',
  'gr',
  'h',
  'k',
  'l',
  'm',
  'n',
  'p',
  'r',
  's',
  'st',
  't',
  'tr',
  'w',
];
const VOWELS = ['a', 'e', 'i', 'o', 'u', 'ai', 'ea', 'ou'];
const ENDS = ['', '', 'n', 'r', 's', 't', 'l', 'nd'];

/**
 * RecentChange events whose titles, users and most comments are words that come once. The simulated stream picks them from a
 * few, and compresses to two thirds of this; what people write lies between the two.
 */
export function madeUpEvents(count: number, seed = 7): string[] {
  const random = seededRandom(seed);
  const textOf = createEventTexts(random, USUAL_EVENTS);
  return Array.from({ length: count }, (_, index) => {
    const timestamp = 1_790_000_000_000 + index * 20;
    const place = {
      topic: 'eqiad.mediawiki.recentchange',
      partition: 0,
      offset: 5_000_000_000 + index,
      timestamp,
    };
    const { text } = textOf('well-formed', place);
    const event = JSON.parse(text) as { comment: string; meta: { domain: string } };
    const title = words(random, 1, 3);
    const uri = `https://${event.meta.domain}/wiki/${title.replaceAll(' ', '_')}`;
    const comment = random.chance(0.6)
      ? `/* ${words(random, 2, 2)} */ ${words(random, 0, 7)}`
      : event.comment;
    return JSON.stringify({
      ...event,
      meta: { ...event.meta, uri },
      title,
      user: words(random, 1, 2),
      comment,
    });
  });
}

function words(random: Random, least: number, most: number): string {
  return Array.from({ length: random.integer(least, most) }, () => word(random)).join(' ');
}

function word(random: Random): string {
  const syllable = () => random.pick(ONSETS) + random.pick(VOWELS) + random.pick(ENDS);
  return Array.from({ length: random.integer(1, 3) }, syllable).join('');
}
