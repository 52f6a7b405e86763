/** Bitlens: Show Sensitivity Report. */
import type { Context } from '../context';
import type { ReportPanels } from '../report/panel';
import { targetOf, textOf, type Arguments } from '../ui/arguments';

/** Arguments: `{uri, root?, path?}`; `path` opens the detail of one layer. */
export const showReport = (panels: ReportPanels) => async (context: Context, args: Arguments): Promise<void> => {
  panels.show(targetOf(context, args), textOf(args, 'path'));
};
