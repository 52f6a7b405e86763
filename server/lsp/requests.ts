/** Our own requests (server/protocol.ts): parameters checked, progress and cancellation, errors as readable answers. */
import path from 'node:path';
import type { CancellationToken, Connection } from 'vscode-languageserver/node';
import { writeFileAtomic } from '../analysis/atomic-file';
import type { RunOptions } from '../analysis/ports';
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { AnalysisService } from '../analysis/service';
import { userFormats } from '../analysis/vocabulary';
import { modelData, type ModelData } from '../analysis/model-data';
import { formatEntries, methodEntries } from '../analysis/vocabulary';
import { EXPORT_LAYOUTS, type Requests } from '../protocol';
import { UserError } from '../analysis/user-error';
import { reportHtml } from '../report/html';
import { responseError } from './errors';
import { given, Parameters } from './parameters';
import { withProgress } from './progress';
import type { Session } from './session';
import { isFileUri, pathOfUri } from './uris';

type Method = keyof Requests;
type Options = RunOptions & { readonly signal: AbortSignal };
interface Kernel { restart(): Promise<void> | void }
interface Handler<K extends Method> {
  /** What the status board and the progress say; null for requests too short to mention. */
  readonly work: readonly ['measuring' | 'trial', string] | null;
  run(parameters: Parameters, options: Options): Promise<Requests[K]['result']>;
}

/** Registers every request of the protocol. The type makes sure that none is forgotten. */
export function registerRequests(connection: Connection, session: Session, kernel: Kernel): void {
  /** The model that a request is about: of the open document as it is now, or of the file on disk. */
  const modelFor = async (p: Parameters, options: Options): Promise<{ service: AnalysisService; analysis: ModelAnalysis }> => {
    const uri = p.text('uri');
    const root = p.optionalText('root');
    const document = session.documents.get(uri);
    const service = session.serviceFor(await session.settingsOf(uri));
    if (document?.usesTorch) {
      const model = await session.modelOf(document, options.signal);
      if (model.analysis && (root === undefined || model.analysis.root?.name === root)) return { service: model.service, analysis: model.analysis };
    } else if (!document && !isFileUri(uri)) throw new UserError(`${uri} is neither open nor a file`);
    return { service, analysis: await service.analyse(pathOfUri(uri), { signal: options.signal, ...given({ root }) }) };
  };

  const handlers: { readonly [K in Method]: Handler<K> } = {
    'bitlens/model': {
      work: null,
      run: async (p, options) => {
        const { service, analysis } = await modelFor(p, options);
        return { ...service.summary(analysis), target: { uri: p.text('uri'), ...(analysis.root && { root: analysis.root.name }) } };
      },
    },
    'bitlens/report': {
      work: ['measuring', 'Sensitivity report'],
      run: async (p, options) => {
        const { service, analysis } = await modelFor(p, options);
        return service.report(analysis, given({ formats: p.optionalTexts('formats') }), options);
      },
    },
    'bitlens/layerDetail': {
      work: null,
      run: async (p, options) => {
        const { service, analysis } = await modelFor(p, options);
        return service.layerDetail(analysis, p.text('path'), { ...options, sweep: p.flag('sweep') });
      },
    },
    'bitlens/reportHtml': {
      work: ['measuring', 'Exporting the report'],
      run: async (p, options) => {
        const out = path.resolve(p.text('out'));
        const { service, analysis } = await modelFor(p, options);
        const html = await reportHtml(await service.report(analysis, { details: true }, options));
        return { path: out, bytes: await writeFileAtomic(out, html, options.signal) };
      },
    },
    'bitlens/allocate': {
      work: ['measuring', 'Allocating bits'],
      run: async (p, options) => {
        const request = given({
          bits: p.optionalNumber('bits'), bytes: p.optionalNumber('bytes'), bops: p.optionalNumber('bops'), latency: p.optionalNumber('latency'), couple: p.optionalTexts('couple'), metric: p.optionalText('metric'), formats: p.optionalTexts('formats'), out: p.optionalText('out'),
          calibrationSamples: p.optionalNumber('calibrationSamples'), samples: p.optionalNumber('samples'),
        });
        const { service, analysis } = await modelFor(p, options);
        const result = await service.allocate(analysis, request, options);
        if (result.recipePath !== null) session.filesChanged();
        return result;
      },
    },
    'bitlens/quantizeLayer': {
      work: ['trial', 'Quantizing a layer'],
      run: async (p, options) => {
        const request = { path: p.text('path'), format: p.text('format'), method: p.text('method') };
        const { service, analysis } = await modelFor(p, options);
        return service.quantizeLayer(analysis, { ...request, ...namedData(analysis) }, options);
      },
    },
    'bitlens/writeRecipe': {
      work: null,
      run: async (p, options) => {
        const request = { path: p.text('path'), format: p.text('format'), method: p.text('method'), ...given({ recipe: p.optionalText('recipe') }) };
        const { service, analysis } = await modelFor(p, options);
        const result = await service.writeRecipe(analysis, request);
        session.filesChanged();
        return result;
      },
    },
    'bitlens/trial': {
      work: ['trial', 'PTQ trial'],
      run: async (p, options) => {
        const request = given({
          recipe: p.optionalText('recipe'), format: p.optionalText('format'), method: p.optionalText('method'), layers: p.optionalTexts('layers'),
          out: p.optionalText('out'), layout: p.optionalOneOf('layout', EXPORT_LAYOUTS.map(({ id }) => id)),
        });
        const steps = given({ transforms: p.optionalTexts('transforms'), activations: p.optionalText('activations'), range: p.optionalText('range'), corrections: p.optionalTexts('corrections') });
        const { service, analysis } = await modelFor(p, options);
        return service.trial(analysis, { ...request, steps, ...namedData(analysis) }, options);
      },
    },
    'bitlens/evaluate': {
      work: ['measuring', 'Evaluating the model'],
      run: async (p, options) => {
        const request = given({ samples: p.optionalNumber('samples') });
        const { service, analysis } = await modelFor(p, options);
        return service.running.evaluate(analysis, { data: modelData(analysis), ...request }, options);
      },
    },
    'bitlens/activations': {
      work: ['measuring', 'Gathering activation statistics'],
      run: async (p, options) => {
        const request = given({ samples: p.optionalNumber('samples') });
        const { service, analysis } = await modelFor(p, options);
        const found = await service.running.activations(analysis, { data: modelData(analysis), ...request }, options);
        session.modelRan();
        const findings = service.findings({ ...analysis, activations: found }).filter(({ code }) => code.startsWith('BL2')).length;
        return { places: found.values.length, findings, samples: found.samples, seconds: found.seconds, data: found.data };
      },
    },
    'bitlens/sensitivity': {
      work: ['measuring', 'Measuring sensitivity'],
      run: async (p, options) => {
        const request = given({ metric: p.optionalText('metric'), formats: p.optionalTexts('formats'), samples: p.optionalNumber('samples') });
        const { service, analysis } = await modelFor(p, options);
        const result = await service.running.sensitivity(analysis, { data: modelData(analysis), ...request, ...given({ formats: request.formats && userFormats(request.formats) }) }, options);
        session.modelRan();
        return result;
      },
    },
    'bitlens/scorecard': {
      work: ['measuring', 'Scoring sensitivity metrics'],
      run: async (p, options) => {
        const formats = p.optionalTexts('formats');
        const request = given({ metrics: p.optionalTexts('metrics'), formats: formats && userFormats(formats), recipes: p.optionalNumber('recipes'), samples: p.optionalNumber('samples') });
        const { service, analysis } = await modelFor(p, options);
        const card = await service.running.scorecard(analysis, { data: modelData(analysis), ...request }, options);
        session.modelRan();
        return card;
      },
    },
    'bitlens/inspect': {
      work: null,
      run: async (p, options) => session.serviceFor(await session.settingsOf('')).inspect(p.text('path'), options),
    },
    'bitlens/diff': {
      work: ['measuring', 'Comparing checkpoints'],
      run: async (p, options) => session.serviceFor(await session.settingsOf('')).diff(p.text('path'), p.text('other'), options),
    },
    'bitlens/tensorDetail': {
      work: ['measuring', 'Measuring a tensor'],
      run: async (p, options) => session.serviceFor(await session.settingsOf('')).tensorDetail(p.text('path'), p.text('tensor'), options),
    },
    'bitlens/formats': { work: null, run: () => Promise.resolve(formatEntries()) },
    'bitlens/methods': { work: null, run: () => Promise.resolve(methodEntries()) },
    'bitlens/restartKernel': {
      work: null,
      run: async () => {
        await kernel.restart();
        session.kernelRestarted();
        return null;
      },
    },
  };

  for (const [method, handler] of Object.entries(handlers) as [Method, Handler<Method>][]) {
    connection.onRequest(method, async (raw: unknown, token: CancellationToken) => {
      try {
        const parameters = new Parameters(raw ?? {}, method);
        return await withProgress(connection, session.board, raw, token, handler.work?.[0] ?? null, handler.work?.[1] ?? method, (options) => handler.run(parameters, options));
      } catch (error) {
        return responseError(error, token.isCancellationRequested, (message) => connection.console.error(`${method}: ${message}`));
      }
    });
  }
}

/** The data that bitlens.json names, when it is enough to run the model. */
function namedData(analysis: ModelAnalysis): { data?: ModelData } {
  const data = modelData(analysis);
  return data.task && (data.evaluation || data.calibration) ? { data } : {};
}
