/** The commands that work with Temporal, SQS or S3, whose clients take half a second to load. */
export { codecServer } from './codec-server';
export { withContext } from './context';
export { flush, pause, resume } from './pause';
export { provision } from './provision';
export { listRejected, showRejected } from './rejected';
export { resendRejected } from './rejected-again';
export { remove } from './remove';
export { start } from './start';
export { status } from './status';
export { stop } from './stop';
export { update } from './update';
export { verify } from './verify';
