/** The command line of `inspect` alone: see start.ts. */
import { runCommandLine } from './run';
import { inspect } from './verbs/inspect';

runCommandLine({ verbs: [inspect], createAnalysis: () => { throw new Error('inspect needs no analysis'); } });
