/** A change that breaks a guarantee, and the test that must notice. */
export interface Mutation {
  /** What is broken, in words. */
  name: string;
  file: string;
  /** Stands in the file exactly once. */
  find: string;
  replace: string;
  /** A test file, and the beginning of a test's full title. */
  check: { file: string; title: string };
  /** Whether the model of `test/model/` notices it; only of a lane. */
  model?: 'caught' | 'survives';
}

/** Whether the model can notice it at all: it drives a lane, and nothing around it. */
export function isOfLane({ file }: Mutation): boolean {
  return file.startsWith('src/lane/');
}

const STINT = 'The activity consumeStream';
const PLAIN = `${STINT} on streams that are not Wikimedia’s`;
const NAMES = 'The names of events of a stream with ids of its own';

const ELECTIONS = 'test/sources/kafka/elections.test.ts';
const BATCHES = 'test/sources/kafka/batches.test.ts';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'the cursor moves before SQS confirms',
    file: 'src/activities/stint/stint.ts',
    find: '    this.#taken += 1;\n',
    replace: '    this.#taken += 1;\n    this.#cursor.confirm(pending);\n',
    check: {
      file: 'test/activities/consume-stream.test.ts',
      title: `${STINT} when it is cancelled drops what SQS does not confirm, and its cursor does not cover it`,
    },
  },
  {
    name: 'the cursor covers what was confirmed, though an earlier event was not',
    file: 'src/sources/confirmed-cursor.ts',
    find: '      if (!first.confirmed) break;\n',
    replace: '      if (!first.confirmed) continue;\n',
    check: {
      file: 'test/sources/confirmed-cursor.test.ts',
      title: 'The confirmed cursor covers exactly the contiguous prefix',
    },
  },
  {
    name: 'a key is dropped from the window as soon as its row is in the lake',
    file: 'src/lane/window.ts',
    find: '    this.#settled.add(key, open.sentAt);\n',
    replace: '',
    check: { file: 'test/lane/window.test.ts', title: 'Window lets newer keys push out a settled one' },
    model: 'caught',
  },
  {
    name: 'a key that settles late is taken for new',
    file: 'src/lane/window.ts',
    find: '    this.#settled.add(key, open.sentAt);\n',
    replace: '    this.#settled.add(key, this.#receivedUntil);\n',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window takes a key that settles late for as old as it is',
    },
    model: 'survives',
  },
  {
    name: 'a key is as new as the receive that brought it',
    file: 'src/lane/window.ts',
    find: '  return Math.min(sentAt ?? from, until);\n',
    replace: '  return Math.max(sentAt ?? from, until);\n',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window takes a key for as old as its message, though it was received late',
    },
    model: 'survives',
  },
  {
    name: 'a time from before the clock began anew makes a key newer than all to come',
    file: 'src/lane/window.ts',
    find: '    this.#sentBefore(at);\n',
    replace: '',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window takes no key for newer than those to come',
    },
    model: 'survives',
  },
  {
    name: 'continue-as-new forgets how old keys are',
    file: 'src/lane/window.ts',
    find: '      sentAt: this.#sentAtInParts(),\n',
    replace: '      sentAt: [],\n',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window takes a key that settles late for as old as it is',
    },
    model: 'survives',
  },
  {
    name: 'a batch is keyed when it is uploaded, not when it is frozen',
    file: 'src/lane/uploading.ts',
    find: '    bucket,\n    key,\n',
    replace: '    bucket,\n    key: `${key}-${Math.random()}`,\n',
    check: {
      file: 'test/lane/lane.test.ts',
      title: 'A lane keys an object when its rows are frozen',
    },
    model: 'caught',
  },
  {
    name: "a row's key is another's",
    file: 'src/lane/uploading.ts',
    find: '      keys: rows.map(({ key }) => key),\n',
    replace: '      keys: rows.map(({ key }) => key).reverse(),\n',
    check: {
      file: 'test/lane/lane-at-random.test.ts',
      title: 'A lane, whatever comes of its work writes each event once',
    },
    model: 'caught',
  },
  {
    name: 'a body that was changed passes verify',
    file: 'src/lake/reader.ts',
    find: 'if (bodyDigest(body) !== stated.sha256) return',
    replace: "if (stated.sha256 === '') return",
    check: {
      file: 'test/cli/verify.test.ts',
      title: 'sluice verify finds a body that somebody changed, and one that another hand wrote',
    },
  },
  {
    name: '`Failed` entries of a batch count as sent',
    file: 'src/queue/sender.ts',
    find: '        const outcome = outcomeOf(answers[index]);\n',
    replace: "        const outcome = outcomeOf(answers[index]) ?? 'sent';\n",
    check: {
      file: 'test/queue/sender.test.ts',
      title:
        'A batch sender sends a message again until SQS has taken it when it failed, and that message alone',
    },
  },
  {
    name: 'a deletion after the visibility timeout is trusted',
    file: 'src/lane/window.ts',
    find: 'deleted && !isVisibleAgain && !message.ambiguous',
    replace: 'deleted && !message.ambiguous',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window keeps a key after a deletion answered after the visibility timeout',
    },
    model: 'caught',
  },
  {
    name: 'a deletion with a receipt that is not the newest is trusted',
    file: 'src/lane/window.ts',
    find: '    if (!isNewest) this.#makeDue(messageId, message);\n    else if (',
    replace: '    if (',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window deletes again when a newer receipt came while the deletion was under way',
    },
    model: 'caught',
  },
  {
    name: 'settled is counted by key instead of by message',
    file: 'src/lane/window.ts',
    find: '    open.messages = open.messages.filter((other) => other !== messageId);\n',
    replace: '    open.messages = [];\n',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window writes every event once, whatever the queue does',
    },
    model: 'caught',
  },
  {
    name: 'a hidden message is waited for by time alone',
    file: 'src/lane/window.ts',
    find: 'return this.#reached >= (mark.backBy ?? Infinity) || this.#isFullOfKeys();',
    replace: 'return true;',
    check: {
      file: 'test/lane/window.test.ts',
      title:
        'Window waits for a message that the queue brings back only when it is asked, behind its backlog',
    },
    model: 'caught',
  },
  {
    name: 'a message that is forgotten for want of room takes its key with it',
    file: 'src/lane/window.ts',
    find: '        this.#holdUntil(mark);\n',
    replace: '',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window forgets a message for want of room, but keeps its key',
    },
    model: 'caught',
  },
  {
    name: 'after continue-as-new, a message claims what it was held for, in the lake or not',
    file: 'src/lane/window.ts',
    find: 'this.#addKeys(messageId, message, (key) => !inState.has(key)).length;',
    replace: "this.#addKeys(messageId, message, () => message.state !== 'held').length;",
    check: {
      file: 'test/lane/window.test.ts',
      title: 'A window, of messages with several events waits, after continue-as-new',
    },
    model: 'caught',
  },
  {
    name: 'a message is deleted when the first of its rows is in the lake',
    file: 'src/lane/window.ts',
    find: '      if (message.claims === 0) this.#makeDue(first, message);\n',
    replace: '      this.#makeDue(first, message);\n',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'A window, of messages with several events deletes a message once all rows',
    },
    model: 'caught',
  },
  {
    name: 'a lost receive is forgotten',
    file: 'src/lane/window.ts',
    find: '    this.#lost.add(visibilityMs);\n',
    replace: '',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window lets no settled key go after a lost receive',
    },
    model: 'caught',
  },
  {
    name: 'a poll that SQS failed at is taken for a refused one',
    file: 'src/clients/aws-errors.ts',
    find: ' || status < 400 || status >= 500 || status === 408)',
    replace: ' || status < 400 || status === 408)',
    check: {
      file: 'test/activities/receive-messages.test.ts',
      title: 'receiveMessages where a poll fails says that it may have hidden messages when SQS fails',
    },
  },
  {
    name: 'a refused receive is waited for as if it had hidden messages',
    file: 'src/lane/lane.ts',
    find: '    if (isRefused) this.#receiveRefused();\n    else this.#receiveLost(work);\n',
    replace: '    if (isRefused) this.#receiveRefused();\n    this.#receiveLost(work);\n',
    check: {
      file: 'test/lane/lane-failures.test.ts',
      title: 'A lane that meets a failure receives again after a receive was refused',
    },
    model: 'survives',
  },
  {
    name: 'a lost receive is waited for by the visibility timeout that the next one asks with',
    file: 'src/lane/lane.ts',
    find: '    this.#window.receiveLost(visibilityMsOf(work));\n',
    replace:
      '    this.#window.receiveLost(Math.min(visibilityMsOf(work), this.#hidesForSeconds() * 1_000));\n',
    check: {
      file: 'test/lane/lane-failures.test.ts',
      title: 'A lane that meets a failure waits for what a lost receive hid',
    },
    model: 'survives',
  },
  {
    name: 'a smaller window holds at once',
    file: 'src/lane/window.ts',
    find: '    const keys = Math.max(this.#limits.keys, this.#shrinking?.keys ?? 0);\n',
    replace: '    const { keys } = this.#limits;\n',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window shrinks once all that was sent for the larger window was received',
    },
    model: 'survives',
  },
  {
    name: 'a message that was left in the queue is forgotten',
    file: 'src/lane/window.ts',
    find: '    this.#messages.set(id, message);\n    this.#awaitLeft(id, message, (key) => this.#takeSettled(key));\n',
    replace: '',
    check: {
      file: 'test/lane/window.test.ts',
      title: 'Window of a message that was received and left in the queue keeps the keys that it knows',
    },
    model: 'caught',
  },
  {
    name: 'of a message that was left in the queue only the known keys are remembered',
    file: 'src/lane/window.ts',
    find: "{ keys: [...new Set(keys)], state: 'left',",
    replace:
      "{ keys: [...new Set(keys)].filter((key) => this.#open.has(key) || this.#settled.has(key) || this.#leaving.has(key)), state: 'left',",
    check: {
      file: 'test/lane/window.test.ts',
      title:
        'Window of a message that was received and left in the queue keeps a key that only comes later, in another message',
    },
    model: 'caught',
  },
  {
    name: 'a receive polls without a lease',
    file: 'src/activities/receive-messages.ts',
    find: ' && (await lease.allows())',
    replace: ' && lease',
    check: {
      file: 'test/activities/receive-messages.test.ts',
      title: 'receiveMessages polls nothing and says so where Temporal takes no heartbeat of it',
    },
  },
  {
    name: 'adoption forgets the keys of the newest objects',
    file: 'src/lake/newest.ts',
    find: '    keys: [...keys].slice(0, most).toReversed(),\n',
    replace: '    keys: [...keys].toReversed().slice(0, most - 1),\n',
    check: {
      file: 'test/lake/newest.test.ts',
      title: 'The newest rows of a lake are the last that were written',
    },
  },
  {
    name: 'adoption reads before it has waited',
    file: 'src/lane/adopting.ts',
    find: '    if (!this.#state.hasWaited) {\n',
    replace: '    if (this.#state.hasWaited) {\n',
    check: {
      file: 'test/lane/adopting.test.ts',
      title: 'A lane that takes the place of another claims what that one had, waits until nothing',
    },
    model: 'caught',
  },
  {
    name: 'an adopted key leaves before what the dead lane had received is back',
    file: 'src/lane/window.ts',
    find: 'this.#settled.add(key, place);\n    this.receiveLost(this.#limits.visibilityTimeoutMs);\n',
    replace: 'this.#settled.add(key, place);\n',
    check: {
      file: 'test/lane/adopting.test.ts',
      title:
        'A lane that takes the place of another lets no key go until all that the other had received is back',
    },
    model: 'caught',
  },
  {
    name: 'a lane takes the place of one that it was not told of',
    file: 'src/lake/owner.ts',
    find: '  if (!content || !found || found.run !== run) return await claimLake(store, owner);\n',
    replace: '  if (!content || !found) return await claimLake(store, owner);\n',
    check: {
      file: 'test/lake/owner.test.ts',
      title: 'The owner of a lake changes only for one who takes the place of the owner that is there',
    },
  },
  {
    name: 'a stint has no bound',
    file: 'src/activities/stint/bound.ts',
    find: 'return cursor.passed + cursor.pending - this.#acknowledged >= most;',
    replace: 'return cursor.pending < 0 && most < 0;',
    check: {
      file: 'test/activities/consume-stream.test.ts',
      title: `${STINT} within its bound waits behind an event that SQS does not take`,
    },
  },
  {
    name: 'the bound counts from what was confirmed, not from what was acknowledged',
    file: 'src/activities/stint/bound.ts',
    find: 'cursor.passed + cursor.pending - this.#acknowledged >= most',
    replace: 'cursor.pending >= most',
    check: { file: 'test/activities/stint/bound.test.ts', title: 'The bound of a stint holds' },
  },
  {
    name: 'Temporal tries a stint again, so that what it told can be lost',
    file: 'src/workflows/ingest.ts',
    find: 'retry: { maximumAttempts: 1 },',
    replace: 'retry: { maximumAttempts: 9 },',
    check: {
      file: 'test/workflows/ingest.test.ts',
      title: 'The workflow ingest hears what a stint told whose Worker died',
    },
  },
  {
    name: 'the cursor is thrown instead of returned when the workflow cancels the stint',
    file: 'src/activities/consume-stream.ts',
    find: 'if (lease.isSuperseded) throw',
    replace: "if (lease.isSuperseded || ended.ended === 'cancelled') throw",
    check: {
      file: 'test/activities/consume-stream.test.ts',
      title: `${STINT} when it is cancelled by the workflow returns its cursor`,
    },
  },
  {
    name: 'a stream is resumed at its last id, without going back',
    file: 'src/sources/cursor.ts',
    find: 'export const REWIND_MS = 2_000;',
    replace: 'export const REWIND_MS = 0;',
    check: {
      file: 'test/sources/confirmed-cursor.test.ts',
      title: 'Resuming from a confirmed cursor loses no event',
    },
  },
  {
    name: 'a message is deleted when its row is frozen, before the object is confirmed',
    file: 'src/lane/lane.ts',
    find: '    if (!first) return false;\n',
    replace:
      '    if (!first) return false;\n    for (const { key } of [first, ...others]) this.#window.uploaded(key);\n',
    check: {
      file: 'test/lane/lane.test.ts',
      title: 'A lane deletes no message before its row is in the lake',
    },
    model: 'caught',
  },
  {
    name: 'an update lets one batch hold rows of two definitions',
    file: 'src/lane/lane.ts',
    find: '    while (this.#freezeOne(true));\n    this.#definition = wanted;\n',
    replace: '    this.#definition = wanted;\n    while (this.#freezeOne(true));\n',
    check: {
      file: 'test/workflows/update.test.ts',
      title: 'An update of the workflow batch writes the rows that wait',
    },
    model: 'caught',
  },
  {
    name: 'a release that failed is forgotten, and what it hid',
    file: 'src/activities/receive-messages.ts',
    find: '    this.#facts.lostPolls += problems.length;\n',
    replace: '',
    check: {
      file: 'test/activities/receive-messages.test.ts',
      title:
        'receiveMessages that releases what is too large together counts 1 lost polls where 1 requests did not release all of them',
    },
  },
  {
    name: 'a rejected copy lets the first message of its key be deleted',
    file: 'src/lane/lane.ts',
    find: "      if (verdicts[place] === 'repeat') this.#countRepeat();\n",
    replace:
      "      if ('reason' in event) this.#window.uploaded(event.key);\n      if (verdicts[place] === 'repeat') this.#countRepeat();\n",
    check: {
      file: 'test/lane/lane.test.ts',
      title:
        'A lane, of messages with several events keeps one whose row waits, when a copy of its event is rejected',
    },
    model: 'survives',
  },
  {
    name: 'a lane that only messages which may come back fill receives nothing more',
    file: 'src/lane/room.ts',
    find: '  if (!isStarved(load, limits)) return undefined;\n',
    replace: '  return undefined;\n',
    check: {
      file: 'test/lane/lane-failures.test.ts',
      title: 'A lane whose room is taken by messages that may come back receives a little',
    },
    model: 'survives',
  },
  {
    name: 'a row that is due and waits for an upload rings again and again',
    file: 'src/lane/lane.ts',
    find: ' || isAsleep || dueAt <= this.#clock.now) return undefined;\n',
    replace: ' || isAsleep) return undefined;\n',
    check: {
      file: 'test/lane/lane-failures.test.ts',
      title: 'A lane for as long as nothing works makes no timers while no upload ends',
    },
    model: 'caught',
  },
  {
    name: 'a claim holds for ever',
    file: 'src/lane/lane.ts',
    find: 'if (this.#isClaimDue) yield* this.#askForClaim();',
    replace: '',
    check: {
      file: 'test/lane/lane-claim.test.ts',
      title: 'The claim of a lane is looked at again after an hour',
    },
    model: 'survives',
  },
  {
    name: 'a queue that was deleted and made again is read before it is claimed',
    file: 'src/lane/lane.ts',
    find: '    if (isRefused) this.#unclaim();\n',
    replace: '',
    check: {
      file: 'test/lane/lane-claim.test.ts',
      title: 'The claim of a lane is made anew once the queue could not be read',
    },
    model: 'caught',
  },
  {
    name: 'a lane that could never claim its queue waits for ever to be stopped',
    file: 'src/lane/lane.ts',
    find: "isFinal && this.#claim === 'never' && this.#standing.isStopping",
    replace: "this.#claim !== 'never' && this.#standing.isStopping",
    check: {
      file: 'test/lane/lane-claim.test.ts',
      title: 'A lane that could never claim is stopped as soon as it is asked to',
    },
    model: 'survives',
  },
  {
    name: 'who wrote a tag does not look again',
    file: 'src/activities/claim-queue.ts',
    find: '  const stands = await queue.owner();\n',
    replace: '  const stands = run;\n',
    check: {
      file: 'test/activities/claim-queue.test.ts',
      title:
        'claimQueue lets one of two lanes have a queue that both found without an owner, where one writes last',
    },
  },
  {
    name: 'a removal takes away the tag of whoever has the queue',
    file: 'src/queue/queue.ts',
    find: 'if (found === undefined || found !== owner) return found;',
    replace: 'if (found === undefined) return found;',
    check: {
      file: 'test/queue/queue.test.ts',
      title: 'A queue keeps the tag of its owner where another lane leaves it',
    },
  },
  {
    name: 'a lane that never read its queue is removed without a word',
    file: 'src/lane/status.ts',
    find: "if (isStopped && claim === 'never')",
    replace: "if (abandon && claim === 'never')",
    check: {
      file: 'test/lane/status.test.ts',
      title: 'A lane is kept where it could never claim its queue',
    },
    model: 'survives',
  },
  {
    name: 'a stint sends without a lease',
    file: 'src/activities/lease.ts',
    find: '    elapsed(acknowledged) < heartbeatTimeoutMs * ALLOWED && elapsed(began) < lastsMs - heartbeatTimeoutMs\n',
    replace: '    lastsMs > heartbeatTimeoutMs && began.steady > 0\n',
    check: {
      file: 'test/workflows/lease.test.ts',
      title: 'A stint of a stream without ids sends no event that the next attempt sends, too',
    },
  },
  {
    name: 'ingest feeds a lane that takes nothing until SQS forgets',
    file: 'src/queue/retention.ts',
    find: '  const mayFeed = waitedMs(measured, reached) <= limitMs;\n',
    replace: '  const mayFeed = true;\n',
    check: {
      file: 'test/queue/retention.test.ts',
      title: 'A queue that forgets is fed no more before the lane has left its messages for so long',
    },
  },
  {
    name: 'a long comment is cut off as an event',
    file: 'src/sources/sse/event-limit.ts',
    find: 'return this.#data.isFound ? this.#keepOfEvent(rest) : this.#keepOfLine(rest);',
    replace: 'return this.#keepOfEvent(rest);',
    check: {
      file: 'test/sources/sse/source.test.ts',
      title:
        'An SSE source when it reads makes no event of what has no data, however long it is: many comments',
    },
  },
  {
    name: 'a redirect to another server is followed',
    file: 'src/sources/sse/http-get.ts',
    find: '      if (next.origin !== url.origin) throw (refusal = leavesOrigin(url, next));\n',
    replace: '',
    check: {
      file: 'test/sources/sse/source.test.ts',
      title: 'An SSE source when it connects asks no other server that one redirects to',
    },
  },
  {
    name: 'a name may lead to where machines find their credentials',
    file: 'src/sources/sse/http-get.ts',
    find: '        for (const address of addresses) requireNoMetadata(hostname, address);\n',
    replace: '',
    check: {
      file: 'test/sources/sse/http-get.test.ts',
      title:
        'A GET of a source asks nobody where its name leads to where machines find their credentials: 169',
    },
  },
  {
    name: 'redirects in a circle are followed for as long as they may be',
    file: 'src/sources/sse/http-get.ts',
    find: 'if (asked.has(next.href)) throw',
    replace: 'if (asked.size > 1_000) throw',
    check: {
      file: 'test/sources/sse/source.test.ts',
      title: 'An SSE source when it connects asks nobody twice at once who redirects in a circle',
    },
  },
  {
    name: 'the 30th of February is the second of March',
    file: 'src/settings/pipeline.ts',
    find: ' || !isOfRealDay(value))\n',
    replace: ')\n',
    check: {
      file: 'test/cli/verify.test.ts',
      title: 'sluice verify of some hours can not be a day that there is not',
    },
  },
  {
    name: 'equal payloads under one id are one event',
    file: 'src/sources/sse/event-names.ts',
    find: '[this.#inForce, what, count]',
    replace: '[this.#inForce, what]',
    check: {
      file: 'test/sources/sse/event-names.test.ts',
      title: `${NAMES} tell every event from every other`,
    },
  },
  {
    name: 'the event that brings an id is counted with those that follow it',
    file: 'src/sources/sse/event-names.ts',
    find: "`${id === '' ? 'later' : 'own'} ${sha256(text)}`",
    replace: 'sha256(text)',
    check: {
      file: 'test/sources/sse/event-names.test.ts',
      title: `${NAMES} are the same again where a server resumes behind an id`,
    },
  },
  {
    name: 'a pack inflates to whatever it holds',
    file: 'src/queue/pack.ts',
    find: ', { maxOutputLength: Math.max(1, Number(size)) });',
    replace: ');',
    check: {
      file: 'test/queue/pack.test.ts',
      title: 'A pack that would inflate to more than it states takes no more memory than that',
    },
  },
  {
    name: 'a pack of which a frame is cut off is read as far as it goes',
    file: 'src/queue/pack.ts',
    find: "    if (end > frames.length) throw new Error('a frame of it is cut off');\n",
    replace: '',
    check: {
      file: 'test/queue/pack.test.ts',
      title: 'A pack is refused in words where a part of it is not there, or more is',
    },
  },
  {
    name: 'a pack that has other events than it states is admitted',
    file: 'src/queue/pack.ts',
    find: '    if (events.length !== Number(count)) return broken(`it states ${count} events and has ${events.length}`);\n',
    replace: '',
    check: {
      file: 'test/queue/pack.test.ts',
      title: 'A pack is refused in words where a part of it is not there, or more is',
    },
  },
  {
    name: 'a pack that can not be read is dropped',
    file: 'src/activities/receive-messages.ts',
    find: 'return { message, events: [brokenPack(message, decoded.problem)], bytes: 0 };',
    replace: 'return { message, events: [], bytes: 0 };',
    check: {
      file: 'test/activities/receive-messages.test.ts',
      title: 'receiveMessages of packs keeps one that is not whole under rejected/',
    },
  },
  {
    name: 'one message may bring rows without a bound',
    file: 'src/activities/receive-messages.ts',
    find: '      if (bytes + read.bytes > MOST_TEXT_BYTES) return { ...event, read: TOO_MANY_BYTES };\n',
    replace: '',
    check: {
      file: 'test/activities/receive-messages.test.ts',
      title: 'receiveMessages of packs brings the rows of one message as far as they have 256 KiB',
    },
  },
  {
    name: 'the events of a pack that SQS refuses are refused with it',
    file: 'src/queue/packer.ts',
    find: "      if (outcome === 'sent') settle(outcome);\n      else this.#hand(alone, settle);",
    replace: '      settle(outcome);\n      void alone;',
    check: {
      file: 'test/queue/packer.test.ts',
      title: 'A packer sends the events of a pack that SQS refuses each by itself',
    },
  },
  {
    name: 'a pack is larger than the queue takes',
    file: 'src/queue/packer.ts',
    find: 'Math.min(this.#maximumBytes, MOST_MESSAGE_BYTES)',
    replace: 'MOST_MESSAGE_BYTES',
    check: { file: 'test/queue/packer.test.ts', title: 'A packer halves what is larger than 64 KiB' },
  },
  {
    name: "a record may stand outside of its batch's offsets",
    file: 'src/sources/kafka/batches.ts',
    find: '      requireInOrder(batch, record, least);\n',
    replace: '',
    check: {
      file: 'test/sources/kafka/batches.test.ts',
      title:
        'Record batches whose records stand in another order than their offsets, or outside, are refused',
    },
  },
  {
    name: 'keys of all kinds share one space of names',
    file: 'src/event/key.ts',
    find: 'const key = `${kind}:${name}`;',
    replace: 'const key = name;',
    check: {
      file: 'test/sources/kafka/event.test.ts',
      title:
        "A Kafka record as an event can't be made a repeat of another record, whatever key its payload states",
    },
  },
  {
    name: 'a stream without ids is keyed by its payloads',
    file: 'src/sources/sse/source.ts',
    find: ': arrivalKey();',
    replace: ': wikimediaEvent(event.text, payload).key;',
    check: {
      file: 'test/activities/plain-streams.test.ts',
      title: `${PLAIN} takes two equal payloads for two events where the stream has no ids`,
    },
  },
  {
    name: 'what a stream without ids has sent is dropped at the end of a stint',
    file: 'src/sources/sse/source.ts',
    find: '      if (this.#ids === undefined) yield* this.#buffer.rest();\n',
    replace: '',
    check: {
      file: 'test/activities/plain-streams.test.ts',
      title: `${PLAIN} that give no ids sends all that it received when it is asked to end`,
    },
  },
  {
    name: 'an id that several events have is resumed from before all of them came',
    file: 'src/sources/cursor.ts',
    find: '{ lastEventId: sharedAfter || lastEventId }',
    replace: '{ lastEventId }',
    check: {
      file: 'test/activities/plain-streams.test.ts',
      title: `${PLAIN} makes one row of each event, over kills and cuts: one id for several events`,
    },
  },
  {
    name: 'a copy that a query made from events of no task is kept',
    file: 'src/workflows/query-guard.ts',
    find: '            if (isForQuery) throw new Error(MADE_FOR_A_QUERY);\n',
    replace: '',
    check: {
      file: 'test/workflows/query-guard.test.ts',
      title: 'The guard against queries leaves out a step that brings more events than its task',
    },
  },
  {
    name: 'a worker tells the time of its own clock',
    file: 'src/clients/server-clock.ts',
    find: '    if (!this.#bounds) return this.#own.wall();\n',
    replace: '    if (!this.#bounds || this.#own) return this.#own.wall();\n',
    check: {
      file: 'test/clients/server-clock.test.ts',
      title: 'The clock of a server is told by the dates of its answers',
    },
  },
  {
    name: 'one wrong time leads a lane ahead for good',
    file: 'src/lane/clock.ts',
    find: 'if (this.#isDoubted || this.#isSaidAgain(span)) return this.#beginAnew(span, isBehind);',
    replace: '',
    check: {
      file: 'test/lane/lane-clock.test.ts',
      title: 'A lane that is told a wrong time once, ten hours ahead, settles what it deletes again',
    },
    model: 'caught',
  },
  {
    name: 'a lane whose clock began anew trusts receipts from before',
    file: 'src/lane/window.ts',
    find: '      message.receive = { ...message.receive, from: at, until: at };\n      message.ambiguous = true;\n',
    replace: '      message.receive = { ...message.receive, from: at, until: at };\n',
    check: {
      file: 'test/lane/lane-clock.test.ts',
      title: 'A lane that is told a wrong time goes back with the queue’s clock, when two answers say so',
    },
    model: 'survives',
  },
  {
    name: 'an object is dated before an earlier one',
    file: 'src/lane/clock.ts',
    find: 'this.#dated = Math.max(this.#dated, this.#now);',
    replace: 'this.#dated = this.#now;',
    check: {
      file: 'test/lane/lane-clock.test.ts',
      title: 'The date in the key of an object never goes back',
    },
    model: 'caught',
  },
  {
    name: 'a Kafka record is taken for the one that another leader wrote at its offset',
    file: 'src/sources/kafka/event.ts',
    find: "${epoch < 0 ? '' : `@${epoch}`}",
    replace: '',
    check: {
      file: ELECTIONS,
      title: 'A Kafka source of which the end was replaced goes back to where it was replaced',
    },
  },
  {
    name: 'a Kafka leader is read before it says whether it has what was read',
    file: 'src/sources/kafka/source.ts',
    find: ' && progress.isChecked)',
    replace: ')',
    check: {
      file: ELECTIONS,
      title: 'A Kafka source reads nothing from a leader that does not answer for what was read',
    },
  },
  {
    name: 'what a Kafka leader answered counts though another one leads',
    file: 'src/sources/kafka/source.ts',
    find: ' && leaderEpoch === progress.leaderEpoch',
    replace: '',
    check: { file: ELECTIONS, title: 'A Kafka source drops what a leader answered that is none any more' },
  },
  {
    name: 'the log of another Kafka leader is taken as far as it has an epoch, though more of it was never read',
    file: 'src/sources/kafka/epochs.ts',
    find: 'at: Math.min(answer.offset, end), isExact: true',
    replace: 'at: answer.offset, isExact: true',
    check: {
      file: 'test/sources/kafka/epochs.test.ts',
      title: 'Whether a leader has what was read is not so where its log went another way',
    },
  },
  {
    name: 'the cursor stays where the records of a Kafka topic were replaced',
    file: 'src/sources/cursor.ts',
    find: 'return cuts === 0 ? position.offset > before.offset : cuts > 0;',
    replace: 'return position.offset > before.offset;',
    check: {
      file: ELECTIONS,
      title: 'A Kafka source of which the end was replaced goes back though nothing has come there yet',
    },
  },
  {
    name: 'where epochs begin is remembered of records that were deleted unread',
    file: 'src/sources/kafka/source.ts',
    find: 'Object.assign(progress, begunAt({ offset: first,',
    replace: 'Object.assign(progress, begunAt({ ...progress.memory, offset: first,',
    check: { file: ELECTIONS, title: 'A Kafka source forgets where epochs begin that it did not read' },
  },
  {
    name: 'the cursor stays before a marker at the end of a Kafka partition',
    file: 'src/sources/kafka/source.ts',
    find: '    this.#buffer.put({ mark: { [name]: positionOf(progress) }, place }, 0);\n',
    replace: '',
    check: { file: ELECTIONS, title: 'A Kafka source of which the end holds no record has passed it' },
  },
  {
    name: 'the cursor passes a marker before what was received before it',
    file: 'src/sources/confirmed-cursor.ts',
    find: 'this.#pending.push({ ...common, positions, place, confirmed: true });',
    replace: 'this.#moveOverMark({ ...common, positions }.positions, place);',
    check: { file: ELECTIONS, title: 'A Kafka source of which the end holds no record waits at it' },
  },
  {
    name: 'the record behind a marker does not say that there was none before it',
    file: 'src/sources/kafka/source.ts',
    find: '...(known === next ? {} : { from: known }), ',
    replace: '',
    check: {
      file: ELECTIONS,
      title: 'A Kafka source of which the end holds no record says of the next record',
    },
  },
  {
    name: 'a Kafka batch is unpacked whole, however small it was packed',
    file: 'src/sources/kafka/unpack.ts',
    find: 'if (body.length <= SMALL_BYTES) return',
    replace: 'return',
    check: {
      file: BATCHES,
      title: 'Record batches are unpacked as far as they are read, however small they were packed: gzip',
    },
  },
  {
    name: 'a Kafka record of any size is unpacked',
    file: 'src/sources/kafka/batches.ts',
    find: 'if (length <= LARGEST_PIECE_BYTES) return length;',
    replace: 'if (length > 0) return length;',
    check: { file: BATCHES, title: 'Record batches with a record that is larger than what is unpacked' },
  },
  {
    name: 'a lone message from before Kafka 0.11 is waited for as if it were cut off',
    file: 'src/sources/kafka/batches.ts',
    find: 'bytes.length - at > MAGIC_AT;',
    replace: 'bytes.length - at >= HEADER_BYTES;',
    check: { file: BATCHES, title: 'Record batches are refused where a message of format 0 stands' },
  },
  {
    name: 'what a connection sends again is forgotten when the next one is opened, and not when it is read',
    file: 'src/activities/stint/stint.ts',
    find: 'for await (const event of source.read(() => this.#cursor.resume(), reading)) {\n',
    replace:
      'const opened = () => (this.#cursor.reading(this.#cursor.resume()), this.#cursor.resume());\n      for await (const event of source.read(opened, reading)) {\n',
    check: {
      file: 'test/activities/consume-stream.test.ts',
      title: `${STINT} within its bound sends nothing again that an earlier connection brings`,
    },
  },
];
