import assert from 'node:assert/strict';
import { Deleting } from '../../src/lane/deleting';
import { LIMITS } from '../../src/lane/limits';
import { Window } from '../../src/lane/window';
import type { DeleteWork, WaitWork } from '../../src/lane/work';
import { digestOf } from '../support/driven-lane';

const none = new Set<number>();
const all = ({ deletions }: DeleteWork) => new Set(deletions.keys());

const RECEIVE = { from: 0, until: 0, visibilityMs: 8_000 };

/** A lane's deletions, with messages to delete. */
class Deletions {
  readonly deleting = new Deleting(LIMITS);
  readonly #window = new Window({ keys: 100, visibilityTimeoutMs: 8_000 });
  #count = 0;

  /** Messages whose rows are in the lake, or copies: nothing tells one from the other here. */
  due(count: number): this {
    for (let n = 0; n < count; n += 1) {
      this.#count += 1;
      const key = digestOf(this.#count);
      this.#window.admit({ id: `m${this.#count}`, receipt: 'receipt', keys: [key] }, RECEIVE);
      this.#window.uploaded(key);
    }
    return this;
  }

  work(isUrgent = false): (DeleteWork | WaitWork)[] {
    return [...this.deleting.work(this.#window, 'queue', isUrgent)];
  }

  /** How many each deletion has, and what is waited for. */
  wants(isUrgent = false): (number | string)[] {
    return this.work(isUrgent).map((work) => (work.kind === 'wait' ? work.why : work.deletions.length));
  }

  /** The first deletion that is wanted. */
  deletion(): DeleteWork {
    const found = this.work(true).find((work) => work.kind === 'delete');
    return found ?? assert.fail('nothing to delete');
  }
}

describe('Deleting', () => {
  it('deletes ten messages and more at once, as many together as one activity takes, and two at a time', () => {
    assert.deepEqual(new Deletions().due(10).wants(), [10]);
    assert.deepEqual(new Deletions().due(300).wants(), [300]);
    const many = new Deletions().due(1_000);
    assert.deepEqual(many.wants(), [300, 300]);
    assert.deepEqual(many.wants(), []);
    many.deleting.answered([], none);
    assert.deepEqual(many.wants(), [300]);
  });

  it('lets fewer wait for others, once, and then deletes them', () => {
    const few = new Deletions().due(3);
    const [wait] = few.work();
    assert(wait?.kind === 'wait');
    assert.equal(wait.ms, LIMITS.deleteAfterMs);
    few.due(1);
    assert.deepEqual(few.wants(), [], 'one wait at a time');
    few.deleting.woke(wait);
    assert.deepEqual(few.wants(), [4]);
    few.due(1);
    assert.deepEqual(few.wants(), ['copies'], 'those that come later wait anew');
  });

  it('waits for others no longer where ten came meanwhile', () => {
    const few = new Deletions().due(9);
    assert.deepEqual(few.wants(), ['copies']);
    assert.deepEqual(few.due(1).wants(), [10]);
  });

  it('takes no wait but its own for the end of it', () => {
    const few = new Deletions().due(3);
    assert.deepEqual(few.wants(), ['copies']);
    few.deleting.woke({ kind: 'wait', why: 'copies', ms: 5_000, summary: 'another' });
    assert.deepEqual(few.wants(), []);
  });

  it('lets nothing wait where it is urgent', () => {
    assert.deepEqual(new Deletions().due(1).wants(true), [1]);
  });

  it('wants nothing where there is nothing to delete', () => {
    assert.deepEqual(new Deletions().wants(true), []);
  });

  it('fails while deletions delete nothing, and no longer once one of them deletes one message', () => {
    const many = new Deletions().due(300);
    const deletion = many.deletion();
    assert.equal(many.deleting.answered(deletion.deletions, all(deletion)), true);
    assert.equal(many.deleting.fails, true);
    const some = many.due(10).deletion();
    const butOne = new Set([...all(some)].slice(1));
    assert.equal(many.deleting.answered(some.deletions, butOne), false);
    assert.equal(many.deleting.fails, false);
  });

  it('fails where a deletion brought no answer, however few messages it had', () => {
    const few = new Deletions().due(1);
    assert.equal(few.deleting.answered(few.deletion().deletions, undefined), true);
    assert.equal(few.deleting.fails, true);
  });

  it('does not fail for a few messages that were left: each may have a reason of its own', () => {
    const few = new Deletions().due(9);
    const deletion = few.deletion();
    assert.equal(few.deleting.answered(deletion.deletions, all(deletion)), false);
    assert.equal(few.deleting.fails, false);
  });

  it('takes a few messages that were left for no sign that it works again', () => {
    const few = new Deletions().due(1);
    few.deleting.answered(few.deletion().deletions, undefined);
    const another = few.due(1).deletion();
    few.deleting.answered(another.deletions, all(another));
    assert.equal(few.deleting.fails, true);
  });
});
