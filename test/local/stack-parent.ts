// `npm run stack` with its state in a folder of the test's: stack-parent.ts FOLDER [OPTION ...]
import { stackCommand } from '../../local/stack-command';

const [folder] = process.argv.splice(2, 1);
if (folder === undefined) throw new Error('Name a folder.');
void stackCommand(folder);
