import type { PipelineDefinition } from '../pipeline/definition';
import { isKafkaUrl, parseKafkaUrl } from './kafka/address';
import type { KafkaSecurity } from './kafka/brokers';
import { kafkaSource } from './kafka/source';
import type { OnReconnect, Source, SourceListener } from './source';
import { sseSource } from './sse/source';
import { userAgent } from './sse/user-agent';

/** What a worker knows and no pipeline: how it reaches sources that ask who it is. */
export interface SourceAccess {
  kafka?: KafkaSecurity & {
    /** Consumer group under which offsets are committed, for Kafka's own tools to show the lag. */
    group?: string;
  };
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
  return kafkaSource({
    ...parseKafkaUrl(url),
    ...access.kafka,
    ...keyPath,
    ...(offsets === undefined ? {} : { offsets }),
    ...(afterLoss === undefined ? {} : { afterLoss }),
    onReconnect,
  });
}
