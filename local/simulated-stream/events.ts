import { awkwardTexts } from './awkward-text';
import type { Random } from './random';

/** Where in the log an event stands, and when it happened. */
export interface Place {
  topic: string;
  partition: number;
  offset: number;
  /** Milliseconds since 1970. */
  timestamp: number;
}

/** How an event can be broken: none of these can become a row. */
export type BrokenKind = 'not-json' | 'not-an-object' | 'too-large';

/** What an event is, for those who count. */
export type EventKind = 'well-formed' | 'canary' | BrokenKind;

/** One event as published. */
export interface EventText {
  /** `meta.id`; for a broken event the id it would have had. */
  key: string;
  /** The JSON, or what should have been, in one line. */
  text: string;
}

/** Why a broken event is broken, in words. */
export const brokenReasons: Readonly<Record<BrokenKind, string>> = {
  'not-json': 'The text is cut off and is not JSON.',
  'not-an-object': 'The text is JSON, but not an object.',
  'too-large': 'The event is larger than one SQS message.',
};

/** More than an SQS message may hold: 1 MiB since August 2025. */
const tooLarge = 1_100_000;

const wikis = [
  { domain: 'en.wikipedia.org', wiki: 'enwiki' },
  { domain: 'commons.wikimedia.org', wiki: 'commonswiki' },
  { domain: 'www.wikidata.org', wiki: 'wikidatawiki' },
  { domain: 'de.wikipedia.org', wiki: 'dewiki' },
  { domain: 'ar.wikipedia.org', wiki: 'arwiki' },
  { domain: 'ja.wikipedia.org', wiki: 'jawiki' },
];

const titles = [
  'Tulip mania',
  'Category:Images from Wiki Loves Monuments 2026 in the Netherlands',
  'Q1860',
  'Köln',
  'القاهرة',
  '東京都',
  'User talk:192.0.2.17',
  'File:Sluice gate at Lake Washington Ship Canal, Seattle (2019) - 07.jpg',
];

const users = ['Sluicekeeper', 'InternetArchiveBot', '192.0.2.17', 'Ærøskøbing', '山田太郎', 'KrBot'];

const comments = [
  '/* Early history */ Added two sources and moved the paragraph about the harbour to the section where it belongs',
  'Rescuing 2 sources and tagging 0 as dead.) #IABot (v2.0.9.5) (Whoop whoop pull up - 21904',
  '/* wbsetclaim-create:2||1 */ [[Property:P31]]: [[Q5]], #quickstatements; batch #241893 by [[User:Sluicekeeper]]',
  'Reverted edits by [[Special:Contributions/192.0.2.17|192.0.2.17]] ([[User talk:192.0.2.17|talk]]) to last version',
  'カテゴリを追加、出典の整理、および誤字の修正 ([[WP:AES|←]])',
];

const logActions = [
  { log_type: 'move', log_action: 'move', log_params: { target: 'Tulip fever, "the film"', noredir: '0' } },
  { log_type: 'delete', log_action: 'delete', log_params: [] },
  { log_type: 'block', log_action: 'block', log_params: { duration: '31 hours', flags: 'nocreate' } },
  { log_type: 'patrol', log_action: 'patrol', log_params: ['1234567', '1234560', 1] },
  {
    log_type: 'upload',
    log_action: 'overwrite',
    log_params: 'img_sha1=0xcafe, img_timestamp=20260101000000',
  },
];

/**
 * Makes RecentChange events after `mediawiki/recentchange/1.0.0`: 1.1 to 1.3 KB on average, with the fields
 * that are missing in real life missing here, and no nulls.
 *
 * @param awkwardOneIn one event in so many carries awkward text; 0 for none
 * @param paddingBytes more than that, in the field `padding`
 * @returns a function that makes the next event; the content depends on the random numbers and the place alone
 */
export function createEventTexts(
  random: Random,
  { awkwardOneIn, paddingBytes }: { awkwardOneIn: number; paddingBytes: number },
): (kind: EventKind, place: Place) => EventText {
  let count = 0;
  const padding = paddingBytes === 0 ? {} : { padding: 'x'.repeat(paddingBytes) };

  function awkwardText(): string | undefined {
    count += 1;
    return awkwardOneIn > 0 && count % awkwardOneIn === 0
      ? awkwardTexts[(count / awkwardOneIn) % awkwardTexts.length]
      : undefined;
  }

  return (kind, place) => {
    const key = random.uuid();
    const change = recentChange(random, place, key, awkwardText());
    switch (kind) {
      case 'canary':
        return { key, text: JSON.stringify({ ...change, meta: { ...change.meta, domain: 'canary' } }) };
      case 'too-large':
        return { key, text: JSON.stringify({ ...change, comment: 'x'.repeat(tooLarge) }) };
      case 'not-an-object':
        return { key, text: JSON.stringify([key, 'a list where a change was expected']) };
      case 'not-json':
        return { key, text: cutOff(JSON.stringify(change)) };
      default:
        return { key, text: JSON.stringify({ ...change, ...padding }) };
    }
  };
}

function recentChange(random: Random, place: Place, key: string, awkward: string | undefined) {
  const { domain, wiki } = random.pick(wikis);
  const type = random.pick(['edit', 'edit', 'edit', 'edit', 'new', 'log', 'categorize', 'categorize']);
  const awkwardField = random.pick(['comment', 'comment', 'title', 'user']);
  const inField = (field: string, usual: string) =>
    awkward !== undefined && awkwardField === field ? awkward : usual;
  const title = inField('title', random.pick(titles));
  const comment = inField('comment', random.pick(comments));
  const isRedacted = random.chance(0.02);
  const pageUrl = `https://${domain}/wiki/${percentEncoded(title)}`;
  return {
    $schema: '/mediawiki/recentchange/1.0.0',
    meta: {
      uri: pageUrl,
      request_id: random.uuid(),
      id: key,
      domain,
      stream: 'mediawiki.recentchange',
      dt: new Date(place.timestamp).toISOString(),
      topic: place.topic,
      partition: place.partition,
      offset: place.offset,
    },
    ...(type === 'log' && random.chance(0.3) ? {} : { id: random.integer(1_000_000_000, 3_000_000_000) }),
    type,
    namespace: type === 'log' ? random.pick([-1, 2, 6]) : random.pick([0, 0, 0, 3, 4, 14]),
    title,
    title_url: pageUrl,
    comment,
    timestamp: Math.floor(place.timestamp / 1000),
    ...(isRedacted ? {} : { user: inField('user', random.pick(users)) }),
    bot: random.chance(0.3),
    ...changeDetails(random, type, domain),
    server_url: `https://${domain}`,
    server_name: domain,
    server_script_path: '/w',
    wiki,
    ...(isRedacted ? {} : { parsedcomment: parsedComment(comment, pageUrl) }),
  };
}

function changeDetails(random: Random, type: string, domain: string): object {
  if (type === 'categorize') return {};
  if (type === 'log') {
    const action = random.pick(logActions);
    return { log_id: random.integer(100_000_000, 200_000_000), ...action, log_action_comment: 'per request' };
  }
  const revision = random.integer(1_200_000_000, 1_300_000_000);
  const length = random.integer(40, 120_000);
  return {
    notify_url: `https://${domain}/w/index.php?diff=${revision}&oldid=${revision - 7}`,
    minor: random.chance(0.4),
    ...(random.chance(0.5) ? { patrolled: random.chance(0.7) } : {}),
    length: type === 'new' ? { new: length } : { old: length + random.integer(-40, 400), new: length },
    revision: type === 'new' ? { new: revision } : { old: revision - 7, new: revision },
  };
}

function parsedComment(comment: string, pageUrl: string): string {
  return `<span class="autocomment"><a href="${pageUrl}">→</a></span> ${comment.replaceAll('<', '&lt;')}`;
}

/** encodeURIComponent throws on a lone surrogate: going through UTF-8 first makes it U+FFFD. */
function percentEncoded(title: string): string {
  return encodeURIComponent(Buffer.from(title).toString().replaceAll(' ', '_'));
}

/** Two thirds of the text, never half of a surrogate pair: UTF-8 could not carry that. */
function cutOff(text: string): string {
  return Buffer.from(text)
    .subarray(0, Math.floor(text.length * 0.66))
    .toString()
    .replace(/\ufffd$/u, '');
}
