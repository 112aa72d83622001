import {
  BinaryPayloadConverter,
  CompositePayloadConverter,
  JsonPayloadConverter,
  type PayloadConverterWithEncoding,
  UndefinedPayloadConverter,
} from '@temporalio/common';

const sdk = new JsonPayloadConverter();
const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder() };
const encoding = utf8.encoder.encode(sdk.encodingType);

/**
 * The SDK's JSON, byte for byte, through Node's own UTF-8, which workflows may use, too. The SDK's (1.24, its
 * `lib/encoding.js`) is JavaScript, a character at a time: with a hundred rows in a payload, a tenth of what a Worker
 * does (docs/performance.md).
 */
const json: PayloadConverterWithEncoding = {
  encodingType: sdk.encodingType,

  toPayload(value) {
    const text = asJson(value);
    // What has no JSON is the SDK's to judge.
    if (text === undefined) return sdk.toPayload(value);
    return { metadata: { encoding }, data: utf8.encoder.encode(text) };
  },

  fromPayload(payload) {
    return payload.data ? JSON.parse(utf8.decoder.decode(payload.data)) : sdk.fromPayload(payload);
  },
};

function asJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** By this name the SDK finds it. */
export const payloadConverter = new CompositePayloadConverter(
  new UndefinedPayloadConverter(),
  new BinaryPayloadConverter(),
  json,
);
