import type { CostModel } from '../method';

/**
 * Bit operations: multiply-accumulate operations x bits of a weight's code x bits of an activation. Codes that stand for entries of a
 * table are counted as they are stored. Activations that are not quantized are the 32 bits of a float.
 */
export const bops: CostModel = {
  id: 'bops',
  kind: 'cost',
  title: 'Bit operations: operations x weight bits x activation bits',
  source: 'Baskin et al., UNIQ, 2018; as a limit: Yao et al., HAWQ-V3, 2021',
  needs: 'graph',
  catalogue: [],
  unit: 'GBOPs',
  perUnit: 1e9,
  parameters: { activationBits: { type: 'integer', default: 32, minimum: 1, maximum: 64, description: 'Bits of an activation' } },
  async run(layers, formats, options) {
    const activationBits = Number(options.activationBits ?? 32);
    return layers.map(({ shapes }) => {
      const macs = shapes.reduce((sum, shape) => sum + shape.macs, 0);
      return formats.map(({ codeBits }) => ({ value: Math.round(macs * codeBits * activationBits), basis: 'counted' as const }));
    });
  },
};
