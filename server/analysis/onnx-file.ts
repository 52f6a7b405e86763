/** Which files are ONNX models, by their names: what is in them is proven when they are opened. */
import path from 'node:path';

export const isOnnx = (file: string): boolean => /\.onnx$/i.test(file);

/** What the root of an ONNX model is called: it has no class. */
export const onnxTitle = (file: string): string => path.parse(file).name;
