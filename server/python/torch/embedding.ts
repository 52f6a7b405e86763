/** Look-up tables. Weight is [rows, dimension]; a row is an entry of the vocabulary. */
import { dim, module, parameter, type Content, type TorchModuleSpec } from './spec';

const table: Content = (a) => ({ parameters: [parameter('weight', [dim(a.num_embeddings), dim(a.embedding_dim)])] });

export const embedding: readonly TorchModuleSpec[] = [
  module('torch.nn.Embedding', 'num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, '
    + 'scale_grad_by_freq=False, sparse=False, _weight=None, _freeze=False, device=None, dtype=None', table, { role: 'embedding' }),
  module('torch.nn.EmbeddingBag', 'num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, '
    + "mode='mean', sparse=False, _weight=None, include_last_offset=False, padding_idx=None, device=None, dtype=None",
  table, { role: 'embedding' }),
];
