/**
 * Starts the command line. `inspect` reads a header and is called once per file by scripts: it gets a bundle of its own, so that
 * it does not pay for loading the interpreter of Python, the rules and the kernel's client. Both bundles lie beside this one.
 */
import { createRequire } from 'node:module';

createRequire(__filename)(process.argv[2] === 'inspect' ? './cli-inspect.js' : './cli-main.js');
