/** All rules. Importing this file enters them in the registry. */
import './activation';
import './arithmetic';
import './convolution';
import './einsum';
import './flat';
import './indexing';
import './linear';
import './normalization';
import './pooling';
import './reduction';
import './resize';
import './scan';
import './shape';
import './softmax';
import './unary';
