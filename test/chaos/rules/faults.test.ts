import assert from 'node:assert/strict';
import { Dice } from './faults';

describe('The dice of the fault proxy', () => {
  const decisions = (dice: Dice, operation: string, requests: number) =>
    Array.from({ length: requests }, () => dice.roll(operation).happens('resetBefore'));
  const rates = { resetBefore: 0.5 };

  it('decide by seed, operation and number of the request alone', () => {
    const alone = decisions(new Dice(7, rates), 'SendMessageBatch', 50);
    const dice = new Dice(7, rates);
    const among = Array.from({ length: 50 }, () => {
      dice.roll('ReceiveMessage');
      return dice.roll('SendMessageBatch').happens('resetBefore');
    });
    assert.deepEqual(among, alone);
    assert.notDeepEqual(decisions(new Dice(8, rates), 'SendMessageBatch', 50), alone);
    assert.notDeepEqual(decisions(new Dice(7, rates), 'PutObject', 50), alone);
  });

  it('decide about one fault whatever the rates of the others are', () => {
    const alone = decisions(new Dice(7, rates), 'PutObject', 50);
    const among = decisions(new Dice(7, { ...rates, slow: 1, conflict: 0.5 }), 'PutObject', 50);
    assert.deepEqual(among, alone);
  });

  it('let a fault happen as often as its rate says', () => {
    const often = decisions(new Dice(7, { resetBefore: 0.1 }), 'PutObject', 2_000).filter(Boolean).length;
    assert.ok(often > 150 && often < 250, `${often} of 2,000`);
  });

  it('decide about each entry by itself', () => {
    const roll = new Dice(7, { entryFailed: 0.5 }).roll('DeleteMessageBatch');
    const fates = new Set(Array.from({ length: 10 }, (_, index) => roll.happens('entryFailed', index)));
    assert.equal(fates.size, 2);
  });

  it('let nothing happen once healed, also to a request that was on its way', () => {
    const dice = new Dice(7, { slow: 1 });
    const roll = dice.roll('PutObject');
    assert.equal(roll.happens('slow'), true);
    dice.heal();
    assert.equal(roll.happens('slow'), false);
  });

  it('count requests by operation', () => {
    const dice = new Dice(7, {});
    decisions(dice, 'PutObject', 2);
    decisions(dice, 'HeadObject', 1);
    assert.deepEqual(dice.requests, { PutObject: 2, HeadObject: 1 });
  });
});
