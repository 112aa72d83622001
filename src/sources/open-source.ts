import type { PipelineDefinition } from '../pipeline/definition';
import { isKafkaUrl, parseKafkaUrl } from './kafka/address';
import { type KafkaLogins, whyNoLogin } from './kafka/security';
import { kafkaSource } from './kafka/source';
import { type OnReconnect, type Source, type SourceListener, SourceRefused } from './source';
import { sseSource } from './sse/source';
import { userAgent } from './sse/user-agent';

/** What a worker knows and no pipeline: how it reaches sources that ask who it is. */
export interface SourceAccess {
  kafka?: KafkaLogins;
}

/** The source that a pipeline's URL names. */
export function openSource(
  { url, contact, key, offsets, afterLoss }: PipelineDefinition['source'],
  listener: SourceListener,
  access: SourceAccess = {},
): Source {
  const keyPath = key === undefined ? {} : { keyPath: key };
  const onReconnect: OnReconnect = (reason, detail) => listener.onReconnect(reason, detail);
  if (!isKafkaUrl(url)) {
    return sseSource({
      url,
      userAgent: userAgent(contact),
      ...keyPath,
      onReconnect,
      onConnected: (isResumed) => listener.onConnected(isResumed),
      onHeard: () => listener.onHeard(),
      onError: (text) => listener.onError(text),
    });
  }
  const address = parseKafkaUrl(url);
  const why = access.kafka && whyNoLogin(access.kafka, address.bootstrap);
  if (why !== undefined) return refused(why);
  return kafkaSource({
    ...address,
    ...access.kafka,
    ...keyPath,
    ...(offsets === undefined ? {} : { offsets }),
    ...(afterLoss === undefined ? {} : { afterLoss }),
    onReconnect,
  });
}

/** A source that nobody reads. */
function refused(why: string): Source {
  return {
    read() {
      throw new SourceRefused(why);
    },
  };
}
