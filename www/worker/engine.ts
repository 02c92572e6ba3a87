import { packages } from './load-package';
import { serve } from './serve';

serve(packages());
