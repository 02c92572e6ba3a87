import { loadPackage } from './load-package';
import { serve } from './serve';

serve(loadPackage);
