/**
 * Text that breaks careless pipelines: each has been seen in edit comments or page titles, or is something
 * that SQS, CSV, a spreadsheet or a UTF-8 encoder treats in its own way.
 */
export const awkwardTexts: readonly string[] = [
  'He said "no", then "yes"',
  '"',
  '""',
  'a,b,"c",,d',
  'first line\nsecond line',
  'first line\r\nsecond line\r\n',
  'a lone carriage return\rin the middle',
  'tab\tseparated\tvalues',
  '\n',
  ' leading and trailing space ',
  '=HYPERLINK("http://example.org","click")',
  '=1+1',
  '-1+2',
  '+31 6 1234',
  '@SUM(A1:A2)',
  "'quoted for a spreadsheet",
  'NULL',
  'null',
  'undefined',
  'true',
  '0012',
  '1e5',
  '👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 🇳🇱 country',
  'עברית and العربية, with marks \u200f\u202b\u202c',
  'line separator \u2028 and paragraph separator \u2029',
  // JSON.stringify leaves these two as they are, and SQS refuses them.
  'noncharacters \ufffe and \uffff',
  // JSON.stringify escapes a lone surrogate, so that the event carries the six ASCII characters \ud800.
  'half of an emoji \ud800 lost by a careless cut',
  'and the other half \udc00',
  'backspace \b, form feed \f, escape \u001b, delete \u007f, nul \u0000',
  'back\\slash \\n is not a new line',
  'combining e\u0301 is not é, nor İ i, nor ß SS',
  '<script>alert(1)</script> &amp; &lt;',
  '\ufeffbyte order mark',
  'id: 7\ndata: {"not":"an event"}\n\n',
  '𝕏 𐍈 𒀀 beyond the basic plane',
  `very long ${'Llanfairpwllgwyngyllgogerychwyrndrobwll'.repeat(8)}`,
];
