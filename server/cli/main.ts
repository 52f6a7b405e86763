/** The command line with every verb. */
import { createAnalysis } from '../analysis/create';
import { runCommandLine } from './run';
import { activations } from './verbs/activations';
import { allocate } from './verbs/allocate';
import { check } from './verbs/check';
import { convert } from './verbs/convert';
import { diff } from './verbs/diff';
import { evaluate } from './verbs/evaluate';
import { formats } from './verbs/formats';
import { inspect } from './verbs/inspect';
import { layers } from './verbs/layers';
import { methods } from './verbs/methods';
import { quantize } from './verbs/quantize';
import { report } from './verbs/report';
import { rules } from './verbs/rules';
import { scan } from './verbs/scan';
import { sensitivity } from './verbs/sensitivity';
import { trace } from './verbs/trace';
import { trial } from './verbs/trial';

runCommandLine({ verbs: [inspect, layers, check, scan, allocate, quantize, evaluate, sensitivity, activations, trial, trace, convert, diff, report, formats, methods, rules], createAnalysis });
