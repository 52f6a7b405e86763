/** Every family of operators; loading this fills the registry. */
import './arithmetic';
import './complex';
import './linear';
import './indexing';
import './shape';
import './activation';
import './norm';
import './reduction';
import './conv';
import './pooling';
import './attention';
import './embedding';
import './factories';
import './recurrent';
import './einops';
import './modules';
import './third-party';
