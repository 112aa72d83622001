import assert from 'node:assert/strict';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  RetryState,
  TimeoutFailure,
  TimeoutType,
} from '@temporalio/common';
import { awsFailure } from '../../src/activities/failures';
import { HANDED_NOTHING } from '../../src/lane/received';
import { problemOf, wasHandedNothing } from '../../src/workflows/problems';
import { s3Error } from '../support/fake-store';

describe('The reason that a parked workflow tells', () => {
  /** As a workflow gets it when an activity ends. */
  const ended = (cause?: Error) =>
    new ActivityFailure(
      'Activity task failed',
      'uploadBatch',
      'an id',
      RetryState.NON_RETRYABLE_FAILURE,
      'a worker',
      cause,
    );
  const timedOut = (type: TimeoutType, last?: Error) => {
    const timeout = new TimeoutFailure('activity timeout', undefined, type);
    return ended(Object.assign(timeout, { cause: last }));
  };

  it('says what was tried, to what, and not only what AWS answered', () => {
    const denied = awsFailure(s3Error('AccessDenied', 403), 'write s3://lake/x');
    assert(denied instanceof ApplicationFailure);
    assert.equal(
      problemOf(ended(denied)),
      'Could not write s3://lake/x: AccessDenied: AccessDenied, said S3',
    );
  });

  it('names the activity where the failure was not meant to be its last', () => {
    const away = awsFailure(s3Error('SlowDown', 503), 'write s3://lake/x');
    assert(away instanceof ApplicationFailure);
    assert.equal(
      problemOf(ended(away)),
      'The activity uploadBatch failed: Could not write s3://lake/x: SlowDown: SlowDown, said S3',
    );
    const mistake = ApplicationFailure.create({ message: 'x is undefined', type: 'TypeError' });
    assert.equal(problemOf(ended(mistake)), 'The activity uploadBatch failed: x is undefined');
  });

  it('tells a receive that was handed nothing from those that may have been', () => {
    const refused = ApplicationFailure.create({ message: 'OverLimit', details: [HANDED_NOTHING] });
    assert.equal(wasHandedNothing(ended(refused)), true);
    for (const other of [
      ended(ApplicationFailure.create({ message: 'no answer' })),
      timedOut(TimeoutType.HEARTBEAT),
      timedOut(TimeoutType.START_TO_CLOSE, refused),
      ended(new CancelledFailure('cancelled')),
      new Error('a mistake'),
    ]) {
      assert.equal(wasHandedNothing(other), false);
    }
  });

  it('says what timed out, in which way, and what was said before', () => {
    assert.equal(
      problemOf(timedOut(TimeoutType.HEARTBEAT)),
      'The activity uploadBatch gave no sign of life in time: its worker may be dead, or cut off from Temporal',
    );
    assert.equal(
      problemOf(timedOut(TimeoutType.START_TO_CLOSE)),
      'The activity uploadBatch did not end in time',
    );
    assert.equal(
      problemOf(timedOut(TimeoutType.SCHEDULE_TO_START)),
      'The activity uploadBatch was not begun in time: no worker took it',
    );
    const last = ApplicationFailure.create({ message: 'Could not write s3://lake/x: SlowDown' });
    assert.equal(
      problemOf(timedOut(TimeoutType.SCHEDULE_TO_CLOSE, last)),
      'The activity uploadBatch did not end in time; its last try failed: Could not write s3://lake/x: SlowDown',
    );
  });

  it('is the words of a failure that no activity wraps, such as one of a signal to another workflow', () => {
    const unknown = ApplicationFailure.create({
      message: 'Unable to signal external workflow because it was not found',
      cause: new Error('deeper'),
    });
    assert.equal(problemOf(unknown), 'Unable to signal external workflow because it was not found');
    assert.equal(problemOf(new Error('plain')), 'plain');
    assert.equal(problemOf('a text'), 'a text');
    assert.equal(problemOf(undefined), 'undefined');
  });

  it('never is empty', () => {
    assert.equal(problemOf(ended()), 'The activity uploadBatch failed: Activity task failed');
    assert.equal(
      problemOf(ended(new CancelledFailure('Activity cancelled'))),
      'The activity uploadBatch failed: Activity cancelled',
    );
    assert.equal(problemOf(new TypeError()), 'TypeError');
  });
});

describe('A failure of AWS', () => {
  it('says what was tried in both kinds, and is retried where that may help', () => {
    for (const [error, nonRetryable] of [
      [s3Error('AccessDenied', 403), true],
      [s3Error('SlowDown', 503), false],
      [Object.assign(new Error('socket hang up'), { name: 'TimeoutError' }), false],
    ] as const) {
      const failure = awsFailure(error, 'read the queue orders');
      assert(failure instanceof ApplicationFailure);
      assert.equal(failure.message, `Could not read the queue orders: ${error.name}: ${error.message}`);
      assert.deepEqual(
        [failure.type, failure.nonRetryable, failure.cause],
        [error.name, nonRetryable, error],
      );
    }
  });

  it('is left alone where it has words of its own, or says that the activity was cancelled', () => {
    for (const error of [
      ApplicationFailure.nonRetryable('said already'),
      new CancelledFailure('cancelled'),
      new DOMException('Request aborted', 'AbortError'),
    ]) {
      assert.equal(awsFailure(error, 'read the queue orders'), error);
    }
  });
});
