/** Entry point of the kernel process (dist/kernel.js). */
import { assetPath } from '../assets';
import { serveKernel } from './serve-kernel';

serveKernel({ workerFile: assetPath('worker.js') });
