// A process of its own for tests to kill: starts moto, tells its port and pid, and stays.
import { startMotoServer } from '../../local/moto-server';

void startMotoServer().then(({ port, pid }) => console.log(JSON.stringify({ port, pid })));
