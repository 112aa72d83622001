// Required by the mutation runner: what fast-check tries is then the same in every run.
import * as fc from 'fast-check';

fc.configureGlobal({ seed: 7 });
