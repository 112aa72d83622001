import type { Client, Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../pipeline/names';

const WANTED = Object.values(SEARCH_ATTRIBUTES);

/** Temporal's IndexedValueType of a Keyword. */
const KEYWORD = 2;

/** Whether the namespace has them all: a workflow that is started with another one is refused. */
export async function hasSearchAttributes(temporal: Client): Promise<boolean> {
  try {
    const { customAttributes } = await operator(temporal).listSearchAttributes({
      namespace: temporal.options.namespace,
    });
    return WANTED.every(({ name }) => Number(customAttributes[name]) === KEYWORD);
  } catch {
    // Temporal Cloud has no operator service for its users, and a role may not be allowed to ask: then without.
    return false;
  }
}

/** @throws the service's error where it refuses to register them */
export async function addSearchAttributes(temporal: Client): Promise<void> {
  await operator(temporal).addSearchAttributes({
    namespace: temporal.options.namespace,
    searchAttributes: Object.fromEntries(WANTED.map(({ name }) => [name, KEYWORD])),
  });
}

function operator(temporal: Client): Connection['operatorService'] {
  return (temporal.connection as Connection).operatorService;
}
