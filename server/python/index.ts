/** Reading PyTorch model code without running it. The door of this folder. */
export { initParser } from './syntax/parser';
export { PythonWorkspace, type PythonHost } from './workspace';
export type { TextChange } from './syntax/source-file';
export type * from './module-tree';
export { parseConfiguration } from './library/yaml';
